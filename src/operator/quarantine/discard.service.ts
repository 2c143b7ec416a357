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

/** Removes quarantined bodies permanently. A record of the body, the operator and the reason stays. */
@Injectable()
export class DiscardService {
  constructor(
    private readonly lock: QuarantineLock,
    private readonly cursors: Cursors,
  ) {}

  /** Undefined if there is no body with this id. */
  async discard(id: string, because: string, by: string): Promise<DiscardResponse | undefined> {
    const [removed] = await this.lock.runExclusive(async (transaction) =>
      transaction.remove([{ id }], { action: 'discarded', by, because }),
    );
    return removed;
  }

  /** Discards matching bodies, oldest first. */
  async discardMatching(request: BulkDiscardRequest, by: string): Promise<DiscardPage> {
    const { filter, reason: because, dry_run, limit, cursor } = request;
    const cursorScope = ['quarantine discard', ...cursorScopeOf(filter)];
    const after = this.cursors.read(cursorScope, cursor) as QuarantinePosition | undefined;
    const { text, parameters } = findStatement(filter, after, limit + 1);
    const [matching, removed] = await this.lock.runExclusive(async (transaction) => {
      const rows = await transaction.query<Row>(text, parameters);
      const selected = rows.slice(0, limit);
      return [rows, dry_run ? selected : await transaction.remove(selected, { action: 'discarded', by, because })];
    });
    const data = removed.map(({ id, reason, count }) => ({ id, reason, count }));
    const last = matching[limit - 1];
    return {
      dry_run,
      discarded: data.length,
      reasons: ReasonCountResponse.from(data.map(({ reason }) => reason)),
      data,
      next_cursor:
        last && matching.length > limit
          ? this.cursors.write(cursorScope, [last.first_received_at.getTime(), last.id])
          : null,
    };
  }
}
