import { Controller, Get, Header, Param, Redirect } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { Problem, type ProblemCode, PROBLEMS } from './problem.js';

/** What a person may open beside Swagger UI. */
@Controller()
@ApiExcludeController()
export class PagesController {
  @Get()
  @Redirect('/docs')
  openDocs(): void {}

  /** The page that the `type` of a problem leads to. */
  @Get('docs/problems/:code')
  @Header('Content-Type', 'text/plain; charset=utf-8')
  explainProblem(@Param('code') code: string): string {
    if (!Object.hasOwn(PROBLEMS, code)) throw new Problem('not_found', 'There is no problem with this code.');
    const [status, title, explanation] = PROBLEMS[code as ProblemCode];
    return `${code}: ${title} (HTTP ${status})\n\n${explanation}\n`;
  }
}
