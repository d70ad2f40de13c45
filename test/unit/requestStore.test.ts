import { RequestStore, type StoredRequest } from '../../nodes/RunComfy/jobs/requestStore';

const HOUR = 3_600_000;

function stored(n: number, more: Partial<StoredRequest> = {}): StoredRequest {
	return {
		fingerprint: 'same',
		requestId: `req-${n}`,
		submittedAt: n,
		executionId: 'first',
		seeds: {},
		...more,
	};
}

/** What the next execution reads. */
function next(store: RequestStore): RequestStore {
	return new RequestStore(JSON.parse(JSON.stringify(store.toJson())));
}

function storeOf(...requests: StoredRequest[]): RequestStore {
	const store = new RequestStore();
	for (const request of requests) store.add(request);
	return store;
}

describe('RequestStore', () => {
	it('gives each request of an earlier execution to one item, in the order of their submits', () => {
		const store = next(
			storeOf(stored(1, { seeds: { seed: 7 } }), stored(2), stored(3, { fingerprint: 'other' })),
		);
		expect(store.take('same', 'second')).toMatchObject({ requestId: 'req-1', seeds: { seed: 7 } });
		expect(store.take('same', 'second')?.requestId).toBe('req-2');
		expect(store.take('same', 'second')).toBeUndefined();
		expect(store.take('other', 'second')?.requestId).toBe('req-3');
	});

	it('gives an execution nothing of its own, and the next execution all of it again', () => {
		const store = storeOf(stored(1));
		expect(store.take('same', 'first')).toBeUndefined();
		const second = next(store);
		expect(second.take('same', 'second')?.requestId).toBe('req-1');
		second.add(stored(2, { executionId: 'second' }));
		const again = next(second);
		expect(again.take('same', 'second')).toBeUndefined();
		expect(again.take('same', 'third')?.requestId).toBe('req-1');
		expect(again.take('same', 'third')?.requestId).toBe('req-2');
	});

	it('gives an execution none of the requests that it has brought along', () => {
		const store = next(storeOf(stored(1), stored(2)));
		store.withhold(({ requestId }) => requestId === 'req-1');
		expect(store.take('same', 'second')?.requestId).toBe('req-2');
		expect(store.take('same', 'second')).toBeUndefined();
		expect(next(store).take('same', 'third')?.requestId).toBe('req-1');
	});

	it('holds each request once', () => {
		const store = next(storeOf(stored(1), stored(1)));
		expect(store.take('same', 'second')?.requestId).toBe('req-1');
		expect(store.take('same', 'second')).toBeUndefined();
	});

	it('forgets what is too old, or of the future, and what has no result', () => {
		const now = 100 * HOUR;
		const store = storeOf(
			stored(1, { submittedAt: now - 24 * HOUR - 1 }),
			stored(2, { submittedAt: now - 24 * HOUR }),
			stored(3, { submittedAt: now + 25 * HOUR }),
			stored(4, { submittedAt: now }),
		);
		store.forget(24 * HOUR, now);
		store.remove('req-4');
		expect(store.toJson()).toHaveLength(1);
		expect(store.take('same', 'second')?.requestId).toBe('req-2');
	});

	it('keeps the 2,000 newest, in less than 300 kB', () => {
		const store = new RequestStore();
		for (let n = 0; n < 2_500; n++) {
			const requestId = `0190c5a1-1111-2222-3333-${String(n).padStart(12, '0')}`;
			const submittedAt = 1_700_000_000_000 + n;
			store.add(
				stored(n, { fingerprint: 'f'.repeat(32), requestId, submittedAt, seeds: { seed: 2_147_483_647 } }),
			);
		}
		expect(store.hasOverflowed).toBe(true);
		const text = JSON.stringify(store.toJson());
		expect(store.toJson()).toHaveLength(2_000);
		expect(text.length).toBeLessThan(300_000);
		expect(next(store).take('f'.repeat(32), 'second')?.submittedAt).toBe(1_700_000_000_500);
	});

	it('is to be stored only when something has changed', () => {
		const store = next(storeOf(stored(1)));
		expect(store.isChanged).toBe(false);
		store.forget(HOUR, 1);
		store.remove('unknown');
		store.take('unknown', 'second');
		expect(store.isChanged).toBe(false);
		store.take('same', 'second');
		expect(store.isChanged).toBe(true);
	});

	it.each<[string, unknown]>([
		['nothing', undefined],
		['text', 'garbage'],
		['an object', { 0: ['same', 'id', 1, 'x'] }],
		['other lists', [null, 1, [], ['same'], ['same', 1, 1, 'x'], ['', 'id', 1, 'x'], ['same', '', 1, 'x']]],
		[
			'IDs that cannot be in a path',
			[
				['same', '..', 1, 'x'],
				['same', '\ud800', 1, 'x'],
				['same', 'i'.repeat(1_001), 1, 'x'],
			],
		],
		[
			'other times, executions, and seeds',
			[
				['same', 'id', '1', 'x'],
				['same', 'id', 1, 2],
				['same', 'id', 1, 'x', { a: 'b' }],
			],
		],
		[
			'what cannot be the ID of a request',
			['..', '\ud800', 'x'.repeat(5_000)].map((id) => ['same', id, 1, 'x']),
		],
	])('starts empty from %s', (_, value) => expect(new RequestStore(value).toJson()).toEqual([]));
});
