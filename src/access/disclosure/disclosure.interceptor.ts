import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { Request } from 'express';
import { concatMap, type Observable } from 'rxjs';
import { getDisclosure } from './disclosure.js';

/** Puts on record what an answer shows before it is sent. What is sent piece by piece does so itself, before each of them. */
export class DisclosureInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const sight = getDisclosure(context.switchToHttp().getRequest<Request>());
    if (!sight.isUnmasked) return next.handle();
    return next.handle().pipe(
      concatMap(async (answer: unknown) => {
        await sight.record();
        return answer;
      }),
    );
  }
}
