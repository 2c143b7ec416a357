import { Injectable } from '@nestjs/common';
import { Cursors } from '../../http/rest/cursor.js';
import {
  type BulkDiscardRequest,
  type DiscardPage,
  type DiscardResponse,
  ReasonCountResponse,
} from './quarantine-commands.dto.js';
import { QuarantineLock } from './quarantine-lock.js';
import { findStatement, type QuarantinePosition, cursorScopeOf } from './quarantine.sql.js';

type Row = DiscardResponse & { readonly first_received_at: Date };

/** Removes refused bodies for good. That they were there, who discarded them and why stays. */
@Injectable()
export class DiscardService {
  constructor(
    private readonly acts: QuarantineLock,
    private readonly cursors: Cursors,
  ) {}

  /** Undefined if there is no such refused body. */
  async discard(id: string, because: string, by: string): Promise<DiscardResponse | undefined> {
    const [removed] = await this.acts.runExclusive(async (acting) =>
      acting.remove([{ id }], { action: 'discarded', by, because }),
    );
    return removed;
  }

  /** Oldest first. */
  async discardMatching(request: BulkDiscardRequest, by: string): Promise<DiscardPage> {
    const { filter, reason: because, dry_run, limit, cursor } = request;
    const cursorScope = ['quarantine discard', ...cursorScopeOf(filter)];
    const behind = this.cursors.read(cursorScope, cursor) as QuarantinePosition | undefined;
    const { text, parameters } = findStatement(filter, behind, limit + 1);
    const [found, removed] = await this.acts.runExclusive(async (acting) => {
      const rows = await acting.query<Row>(text, parameters);
      const leaving = rows.slice(0, limit);
      return [rows, dry_run ? leaving : await acting.remove(leaving, { action: 'discarded', by, because })];
    });
    const data = removed.map(({ id, reason, count }) => ({ id, reason, count }));
    const last = found[limit - 1];
    return {
      dry_run,
      discarded: data.length,
      reasons: ReasonCountResponse.from(data.map(({ reason }) => reason)),
      data,
      next_cursor:
        last && found.length > limit
          ? this.cursors.write(cursorScope, [last.first_received_at.getTime(), last.id])
          : null,
    };
  }
}
