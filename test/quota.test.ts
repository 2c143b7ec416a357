import { describe, expect, test } from 'vitest';
import { FixedWindowCounter } from '../src/access/rate-limit/fixed-window.js';

describe('a quota', () => {
  test('is there again after a minute', () => {
    const quota = new FixedWindowCounter('test', 2);
    const taken = [0, 1_000, 59_999, 60_000].map((now) => quota.hit('a', now));
    expect(taken.map(({ isExceeded }) => isExceeded)).toEqual([false, false, true, false]);
    expect(taken.map(({ remaining }) => remaining)).toEqual([1, 0, 0, 1]);
    expect(taken.map(({ seconds }) => seconds)).toEqual([60, 59, 1, 60]);
  });

  test('remembers only so many, those who came last, and none for longer than a minute', () => {
    const quota = new FixedWindowCounter('test', 1);
    for (let n = 0; n < 50_000; n += 1) quota.hit(`address-${n}`, n / 1_000);
    expect(quota.size).toBe(20_000);
    expect(quota.hit('address-49999', 50).isExceeded).toBe(true);
    quota.hit('later', 70_000);
    expect(quota.size).toBe(1);
  });
});
