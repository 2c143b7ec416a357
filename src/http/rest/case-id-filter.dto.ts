import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsOptional, IsString } from 'class-validator';
import { IsStorableText } from '../../database/storable-text.js';

export const once = { message: 'must be given once' };

/** The ids of a case, as filters of lists. */
export class CaseIdFilter {
  @ApiPropertyOptional({ description: 'The id of the workflow, for example `707c2a72791f4fcd9890120ccfe52983`.' })
  @IsOptional()
  @IsString(once)
  @IsStorableText()
  workflow_id?: string;

  @ApiPropertyOptional({ description: "The customer's own id, an exact match, for example `test-caseid11`." })
  @IsOptional()
  @IsString(once)
  @IsStorableText()
  case_id?: string;

  @ApiPropertyOptional({
    description:
      'The full number as the provider sent it, for example `+62123456`. The plus sign may also be written `%2B`.',
  })
  @IsOptional()
  @Transform(plusFromSpace)
  @IsString(once)
  @IsStorableText()
  callee_number?: string;
}

/** Restores the plus sign of a phone number: in a query string `+` means a space, and no number starts with a space. */
function plusFromSpace({ value }: { value: unknown }): unknown {
  return typeof value === 'string' ? value.replace(/^ /, '+') : value;
}
