import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString } from 'class-validator';
import type { RevealEntity } from '../../database/entities.js';
import { IsStorableText } from '../../database/storable-text.js';
import { PageOf, PageQuery } from '../../http/rest/page.js';
import { IsTime } from '../../http/rest/time.js';

/** A page of the matching records. */
export class AuditQuery extends PageQuery {
  @ApiPropertyOptional({ description: 'Only disclosures to the API key of this name, for example `collections`.' })
  @IsOptional()
  @IsString({ message: 'must be given once' })
  @IsStorableText()
  key?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Only disclosures at this time or later, for example `2026-01-31T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  from?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Only disclosures before this time, for example `2026-02-01T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  to?: string;
}

/** The disclosures of one request within a minute. */
export class RevealResponse {
  @ApiProperty({
    format: 'uuid',
    description: 'Id of the record; the greatest is the newest.',
    example: '0198c7a2-5f0f-7b11-8c2e-4d1f0a9b3c77',
  })
  id: string;

  @ApiProperty({
    format: 'date-time',
    description: 'Time of the disclosure. A longer request has a record for each minute, with the start of that.',
    example: '2026-01-31T09:30:00.000Z',
  })
  at: string;

  @ApiProperty({ description: 'Name of the API key.', example: 'collections' })
  key: string;

  @ApiProperty({
    description: 'Method and path as in this document, without the ids of the path.',
    example: 'GET /v1/cases/{id}',
  })
  endpoint: string;

  @ApiProperty({ type: 'integer', description: 'Number of unmasked phone numbers.', example: 50 })
  numbers: number;

  @ApiProperty({ type: 'integer', description: 'Number of bodies as received.', example: 0 })
  bodies: number;

  @ApiProperty({
    format: 'uuid',
    description: 'The X-Request-Id of the response.',
    example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
  })
  request_id: string;

  static from(this: void, { id, at, key_name, endpoint, numbers, bodies, request_id }: RevealEntity): RevealResponse {
    return { id, at: at.toISOString(), key: key_name, endpoint, numbers, bodies, request_id };
  }
}

export class RevealsPage extends PageOf(RevealResponse) {}
