import { afterAll, describe, expect, inject, it } from 'vitest';
import { readMutations } from './table.js';
import { Workspace } from './workspace.js';

const settings = { TEST_DATABASE_URL: inject('serverUrl'), TEST_CLUSTER: inject('cluster') };
const workspaces = [await Workspace.create(settings), await Workspace.create(settings)];
const idle = [...workspaces];

/** A test that fails on the unchanged code catches nothing. Rows with the same tests share this run. */
const unchangedRuns = new Map<string, Promise<readonly string[]>>();

afterAll(async () => {
  for (const workspace of workspaces) await workspace.remove();
});

describe.concurrent('a test fails', () => {
  for (const mutation of readMutations()) {
    it(`${mutation.table}: ${mutation.breaks}`, async ({ onTestFinished }) => {
      const workspace = idle.pop() as Workspace; // maxConcurrency is the number of workspaces
      onTestFinished(() => void idle.push(workspace));
      await workspace.apply(mutation);
      try {
        const failures = await workspace.failuresOf(mutation.tests);
        expect(failures, 'the mutation survives: no test fails').not.toEqual([]);
      } finally {
        await workspace.revert(mutation.file);
      }
      const key = JSON.stringify(mutation.tests);
      if (!unchangedRuns.has(key)) unchangedRuns.set(key, workspace.failuresOf(mutation.tests));
      expect(await unchangedRuns.get(key), 'these tests fail without the mutation').toEqual([]);
    });
  }
});
