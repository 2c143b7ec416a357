import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { Request } from 'express';
import { concatMap, type Observable } from 'rxjs';
import { getDisclosure } from './disclosure.js';

/** Records disclosures before the response is sent. Streams record themselves, before each chunk. */
export class DisclosureInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const disclosure = getDisclosure(context.switchToHttp().getRequest<Request>());
    if (!disclosure.isUnmasked) return next.handle();
    return next.handle().pipe(
      concatMap(async (answer: unknown) => {
        await disclosure.record();
        return answer;
      }),
    );
  }
}
