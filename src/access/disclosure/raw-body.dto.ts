import { ApiPropertyOptional } from '@nestjs/swagger';
import type { Disclosure } from './disclosure.js';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A raw body as JSON fields, present only with the scope `reveal`. */
export class BodyResponse {
  @ApiPropertyOptional({
    description: 'The body as received. Only with the scope `reveal`.',
    example: '{"case_id": "test-caseid11", …}',
  })
  body?: string;

  @ApiPropertyOptional({
    enum: ['utf-8', 'base64'],
    description: 'Encoding of `body`: the text itself, or base64 if the bytes are not UTF-8.',
  })
  body_encoding?: 'utf-8' | 'base64';

  static from(this: void, received: Buffer, disclosure: Disclosure): BodyResponse {
    const body = disclosure.body(received);
    if (!body) return {};
    try {
      return { body: decoder.decode(body), body_encoding: 'utf-8' };
    } catch {
      return { body: body.toString('base64'), body_encoding: 'base64' };
    }
  }
}
