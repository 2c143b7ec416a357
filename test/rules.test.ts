import { IsOptional, IsString, ValidateIf, ValidateNested } from 'class-validator';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileValidator } from '../src/ingest/notification/compiled-validator.js';
import { PROVIDER_EXAMPLE } from '../src/ingest/notification/provider-example.js';
import { findErrors, isValid, MAX_ID_BYTES, toCandidate } from '../src/ingest/notification/workflow-list-completion.js';

const FIELDS = ['workflow_id', 'workflow_name', 'case_id', 'callee_number', 'rows'];
const ROW_FIELDS = ['nodetask_id', 'nodetask_name', 'node_type', 'task_id'];

/** What may stand in a field: mostly texts around the limits of the rules, and anything else that JSON has. */
const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('', 'x', '\0', '\ud800', '😀', 'é'.repeat(MAX_ID_BYTES / 2)) },
  { weight: 2, arbitrary: fc.constantFrom('x'.repeat(MAX_ID_BYTES), 'x'.repeat(MAX_ID_BYTES + 1), null, undefined) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary' }) },
  { weight: 1, arbitrary: fc.jsonValue() },
);
const changesOf = (fields: readonly string[]): fc.Arbitrary<Record<string, unknown>> =>
  fc.dictionary(fc.constantFrom(...fields, 'unknown', 'constructor', '__proto__'), value, { maxKeys: 2 });
const row = fc.oneof(
  { weight: 5, arbitrary: changesOf(ROW_FIELDS).map((changes) => ({ ...PROVIDER_EXAMPLE.rows[0], ...changes })) },
  { weight: 1, arbitrary: value },
);
const body = fc
  .tuple(changesOf(FIELDS), fc.option(fc.array(row, { maxLength: 3 }), { nil: undefined }))
  .map(([changes, rows]): Record<string, unknown> => ({ ...PROVIDER_EXAMPLE, ...(rows && { rows }), ...changes }));

test('the quick judgement and class-validator never disagree', () => {
  const seen = { valid: 0, refused: 0 };
  fc.assert(
    fc.property(body, (candidate) => {
      const isAccepted = isValid(candidate);
      seen[isAccepted ? 'valid' : 'refused'] += 1;
      expect(isAccepted).toBe(findErrors(toCandidate(candidate)).length === 0);
    }),
    { numRuns: 20_000 },
  );
  expect(Math.min(seen.valid, seen.refused)).toBeGreaterThan(2_000); // or the bodies show nothing
});

test('a rule of a kind that would be passed over is refused when the rules are compiled', () => {
  class Nested {
    @ValidateNested()
    inner: object;
  }
  class Each {
    @IsString({ each: true })
    texts: string[];
  }
  class Grouped {
    @IsString({ groups: ['some'] })
    text: string;
  }
  for (const rules of [Nested, Each, Grouped]) expect(() => compileValidator(rules)).toThrow('cannot be compiled');
});

test('conditions are kept: where they do not hold, the other rules of the field do not count', () => {
  class Conditional {
    @IsOptional()
    @IsString()
    optional?: unknown;

    @ValidateIf((object: Conditional) => object.optional === 'on')
    @IsString()
    sometimes?: unknown;
  }
  const keepsRules = compileValidator(Conditional);
  expect(keepsRules({})).toBe(true);
  expect(keepsRules({ optional: null, sometimes: 1 })).toBe(true);
  expect(keepsRules({ optional: 1 })).toBe(false);
  expect(keepsRules({ optional: 'on', sometimes: 1 })).toBe(false);
  expect(keepsRules({ optional: 'on', sometimes: 'text' })).toBe(true);
});
