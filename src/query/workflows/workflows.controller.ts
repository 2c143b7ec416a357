import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { NeedsScope } from '../../access/api-key.guard.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { NoQuery } from '../../http/rest/validation.js';
import { orNotFound, WorkflowIdParam } from '../../http/rest/id-params.js';
import { ApiPage, PageQuery } from '../../http/rest/page.js';
import { NodeTasksPage, WorkflowDetailResponse, WorkflowsPage } from './workflow.dto.js';
import { WorkflowsReader } from './workflows.reader.js';

const idParam = { name: 'workflow_id', description: "The provider's id.", example: '707c2a72791f4fcd9890120ccfe52983' };

@Controller('v1/workflows')
@ApiTags('workflows')
@NeedsScope('read')
@ApiProblems('unauthorized', 'insufficient_scope', 'internal_error', 'service_unavailable')
export class WorkflowsController {
  constructor(private readonly workflows: WorkflowsReader) {}

  @Get()
  @ApiOperation({
    operationId: 'listWorkflows',
    summary: 'Workflows, newest activity first',
    description:
      'All pages of one list rank by the activity at the time of its first page. A page has fewer rows than `limit` if the ' +
      'names would exceed 8 MiB.',
  })
  @ApiPage(WorkflowsPage)
  @ApiProblems('invalid_request', 'invalid_cursor')
  async list(@Query() query: PageQuery): Promise<WorkflowsPage> {
    return this.workflows.list(query);
  }

  @Get(':workflow_id')
  @ApiOperation({ operationId: 'getWorkflow', summary: 'One workflow with its counts and first and last completion' })
  @ApiParam(idParam)
  @ApiOkResponse({ type: WorkflowDetailResponse, description: 'The workflow.' })
  @ApiProblems('invalid_request', 'not_found')
  async get(@WorkflowIdParam() workflowId: string, @Query() _none: NoQuery): Promise<WorkflowDetailResponse> {
    return orNotFound(await this.workflows.get(workflowId));
  }

  @Get(':workflow_id/node-tasks')
  @ApiOperation({
    operationId: 'listNodeTasks',
    summary: 'The node tasks of a workflow, with the number of cases that went through each',
    description: 'In order of `nodetask_id`. A page has fewer rows than `limit` if the names would exceed 8 MiB.',
  })
  @ApiParam(idParam)
  @ApiPage(NodeTasksPage)
  @ApiProblems('invalid_request', 'invalid_cursor', 'not_found')
  async listNodeTasks(@WorkflowIdParam() workflowId: string, @Query() query: PageQuery): Promise<NodeTasksPage> {
    return orNotFound(await this.workflows.listNodeTasks(workflowId, query));
  }
}
