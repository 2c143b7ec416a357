import { Controller, Get, Header, Param, Redirect } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { isRetryable, Problem, type ProblemCode, PROBLEMS } from './problem.js';

/** Pages for people, besides Swagger UI. */
@Controller()
@ApiExcludeController()
export class PagesController {
  @Get()
  @Redirect('/docs')
  openDocs(): void {}

  /** The page that the `type` of a problem names. */
  @Get('docs/problems/:code')
  @Header('Content-Type', 'text/plain; charset=utf-8')
  explainProblem(@Param('code') code: string): string {
    if (!Object.hasOwn(PROBLEMS, code)) throw new Problem('not_found', 'There is no problem with this code.');
    return renderPage(code as ProblemCode);
  }
}

function renderPage(code: ProblemCode): string {
  const { status, title, meaning, remedy } = PROBLEMS[code];
  const again = isRetryable(code)
    ? 'Yes, with increasing delays.'
    : 'No: the same request gets the same answer until something else changes.';
  return `${title}
HTTP ${status}, code ${code}

What it means
  ${meaning}

What to do
  ${remedy}

Try again as it is?
  ${again}
`;
}
