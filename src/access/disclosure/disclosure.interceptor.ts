import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { Request } from 'express';
import { concatMap, type Observable } from 'rxjs';
import { sightOf } from './disclosure.js';

/** Puts on record what an answer shows before it is sent. What is sent piece by piece does so itself, before each of them. */
export class RecordReveals implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const sight = sightOf(context.switchToHttp().getRequest<Request>());
    if (!sight.isWhole) return next.handle();
    return next.handle().pipe(
      concatMap(async (answer: unknown) => {
        await sight.record();
        return answer;
      }),
    );
  }
}
