import { Controller, Get, Header, Param } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { Problem, type ProblemCode, PROBLEMS } from './problem.js';

/** The pages that the `type` of a problem leads to. */
@Controller('docs/problems')
@ApiExcludeController()
export class ProblemsController {
  @Get(':code')
  @Header('Content-Type', 'text/plain; charset=utf-8')
  get(@Param('code') code: string): string {
    if (!Object.hasOwn(PROBLEMS, code)) throw new Problem('not_found', 'There is no problem with this code.');
    const [status, title, explanation] = PROBLEMS[code as ProblemCode];
    return `${code}: ${title} (HTTP ${status})\n\n${explanation}\n`;
  }
}
