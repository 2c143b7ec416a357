import { Type } from 'class-transformer';
import { IsArray, IsNotEmpty, IsOptional, IsString, ValidateNested } from 'class-validator';

/** As it is usually written down; the rules of the service itself are stricter. */
export class NodeTaskDto {
  @IsString()
  @IsNotEmpty()
  nodetask_id: string;

  @IsString()
  nodetask_name: string;

  @IsString()
  node_type: string;

  @IsOptional()
  @IsString()
  task_id?: string | null;
}

export class NotificationDto {
  @IsString()
  @IsNotEmpty()
  workflow_id: string;

  @IsString()
  workflow_name: string;

  @IsString()
  case_id: string;

  @IsString()
  callee_number: string;

  @IsArray()
  @ValidateNested({ each: true })
  @Type(() => NodeTaskDto)
  rows: NodeTaskDto[];
}
