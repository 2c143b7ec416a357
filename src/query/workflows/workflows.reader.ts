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

/** A column of the rows of `limitByBytes`. */
interface Limited {
  readonly total_rows: string;
}

/** Reads workflows and their node tasks. */
@Injectable()
export class WorkflowsReader {
  constructor(
    private readonly queries: QueryRouter,
    private readonly cursors: Cursors,
  ) {}

  async list(query: PageQuery): Promise<Page<WorkflowResponse>> {
    const cursorScope = ['workflows'];
    const position = this.cursors.read(cursorScope, query.cursor);
    const [asOf, before, workflowId] = position
      ? [new Date(position[0] as number), new Date(position[1] as number), position[2]]
      : ['infinity', 'infinity', ''];
    const rows = await this.queries.query<WorkflowRow & Limited>(LIST_WORKFLOWS, [
      asOf,
      before,
      workflowId,
      query.limit + 1,
    ]);
    const rankedAt = position?.[0] ?? rows[0]?.last_notified_at.getTime() ?? 0;
    return toPage(
      rows,
      query.limit,
      WorkflowResponse.from,
      (last) => this.cursors.write(cursorScope, [rankedAt, last.last_notified_at.getTime(), last.workflow_id]),
      Number(rows[0]?.total_rows),
    );
  }

  async get(workflowId: string): Promise<WorkflowDetailResponse | undefined> {
    const [row] = await this.queries.queryById<WorkflowDetailRow>(GET_WORKFLOW, [workflowId]);
    return row && WorkflowDetailResponse.from(row);
  }

  /** The node tasks of a workflow by id; undefined if there is no such workflow. */
  async listNodeTasks(workflowId: string, query: PageQuery): Promise<Page<NodeTaskResponse> | undefined> {
    const cursorScope = ['node tasks', workflowId];
    const position = this.cursors.read(cursorScope, query.cursor) ?? [''];
    const rows = await this.queries.queryById<NodeTaskRow & Limited>(LIST_NODE_TASKS, [
      workflowId,
      position[0],
      query.limit + 1,
    ]);
    if (rows.length === 0 && (await this.queries.queryById<object>(WORKFLOW_EXISTS, [workflowId])).length === 0)
      return undefined;
    return toPage(
      rows,
      query.limit,
      NodeTaskResponse.from,
      (last) => this.cursors.write(cursorScope, [last.nodetask_id]),
      Number(rows[0]?.total_rows),
    );
  }
}
