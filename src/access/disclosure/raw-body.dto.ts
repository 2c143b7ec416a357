import { ApiPropertyOptional } from '@nestjs/swagger';
import type { Disclosure } from './disclosure.js';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bytes of a body as JSON can carry them; only shown with the scope `reveal`. */
export class BodyResponse {
  @ApiPropertyOptional({
    description: 'The body as received. Only with the scope `reveal`.',
    example: '{"case_id": "test-caseid11", …}',
  })
  body?: string;

  @ApiPropertyOptional({
    enum: ['utf-8', 'base64'],
    description: 'How `body` is to be read: as the text it is, or base64 where it is no UTF-8.',
  })
  body_encoding?: 'utf-8' | 'base64';

  static from(this: void, received: Buffer, sight: Disclosure): BodyResponse {
    const body = sight.body(received);
    if (!body) return {};
    try {
      return { body: decoder.decode(body), body_encoding: 'utf-8' };
    } catch {
      return { body: body.toString('base64'), body_encoding: 'base64' };
    }
  }
}
