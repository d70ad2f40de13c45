import { backoffMs, ERROR_BACKOFF, RATE_LIMIT_BACKOFF } from '../../nodes/RunComfy/util/retry';

describe('backoffMs', () => {
	it.each([
		[1, 500],
		[2, 1_000],
		[5, 8_000],
		[6, 8_000],
		[99, 8_000],
	])('after %i faults: up to %i ms, and at least half of it', (failures, full) => {
		expect(backoffMs(failures, ERROR_BACKOFF, () => 0)).toBe(full / 2);
		expect(backoffMs(failures, ERROR_BACKOFF, () => 1)).toBe(full);
	});

	it('stays within a minute for the whole run', () =>
		expect(backoffMs(50, RATE_LIMIT_BACKOFF, () => 1)).toBe(60_000));
});
