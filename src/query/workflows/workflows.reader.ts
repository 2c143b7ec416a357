import { Injectable } from '@nestjs/common';
import { Cursors } from '../../http/rest/cursor.js';
import { type Page, type PageQuery, toPage } from '../../http/rest/page.js';
import { QueryRouter } from '../../database/query-router.js';
import {
  NodeTaskResponse,
  type NodeTaskRow,
  WorkflowDetailResponse,
  type WorkflowDetailRow,
  WorkflowResponse,
  type WorkflowRow,
} from './workflow.dto.js';
import { GET_WORKFLOW, LIST_NODE_TASKS, LIST_WORKFLOWS, WORKFLOW_EXISTS } from './workflows.sql.js';

/** Of the rows of such a page. */
interface Found {
  readonly found: string;
}

@Injectable()
export class WorkflowsReader {
  constructor(
    private readonly reads: QueryRouter,
    private readonly cursors: Cursors,
  ) {}

  async list(query: PageQuery): Promise<Page<WorkflowResponse>> {
    const question = ['workflows'];
    const position = this.cursors.read(question, query.cursor);
    const [asOf, before, workflowId] = position
      ? [new Date(position[0] as number), new Date(position[1] as number), position[2]]
      : ['infinity', 'infinity', ''];
    const rows = await this.reads.query<WorkflowRow & Found>(LIST_WORKFLOWS, [
      asOf,
      before,
      workflowId,
      query.limit + 1,
    ]);
    const moment = position?.[0] ?? rows[0]?.last_notified_at.getTime() ?? 0;
    return toPage(
      rows,
      query.limit,
      WorkflowResponse.from,
      (last) => this.cursors.write(question, [moment, last.last_notified_at.getTime(), last.workflow_id]),
      Number(rows[0]?.found),
    );
  }

  async get(workflowId: string): Promise<WorkflowDetailResponse | undefined> {
    const [row] = await this.reads.queryById<WorkflowDetailRow>(GET_WORKFLOW, [workflowId]);
    return row && WorkflowDetailResponse.from(row);
  }

  /** The node tasks of a workflow by id; undefined if there is no such workflow. */
  async listNodeTasks(workflowId: string, query: PageQuery): Promise<Page<NodeTaskResponse> | undefined> {
    const question = ['node tasks', workflowId];
    const position = this.cursors.read(question, query.cursor) ?? [''];
    const rows = await this.reads.queryById<NodeTaskRow & Found>(LIST_NODE_TASKS, [
      workflowId,
      position[0],
      query.limit + 1,
    ]);
    if (rows.length === 0 && (await this.reads.queryById<object>(WORKFLOW_EXISTS, [workflowId])).length === 0)
      return undefined;
    return toPage(
      rows,
      query.limit,
      NodeTaskResponse.from,
      (last) => this.cursors.write(question, [last.nodetask_id]),
      Number(rows[0]?.found),
    );
  }
}
