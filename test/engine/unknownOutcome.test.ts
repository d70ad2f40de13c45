import { failure, items, TestEnvironment, type TestEnvironmentOptions } from './testEnvironment';

const RETRY = { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 };
const SHORT_CALLS = { callTimeouts: { submitMs: 300, pollMs: 300, cancelMs: 1_000 } };

/** A submit that may have been accepted is never sent again. */
describe('A submit whose outcome is unknown', () => {
	let env: TestEnvironment;

	afterEach(async () => await env.close());

	const open = async (options: TestEnvironmentOptions = {}) => {
		env = await TestEnvironment.open({ settings: RETRY, ...options });
		return env;
	};

	const promptsOf = () => env.sandbox.jobs.map(({ input }) => String(input.prompt));

	it.each([
		'lostAfter',
		'hangAfter',
		'truncated',
		'noId',
		'serverError',
		'badGateway',
		'lostBefore',
		'hangBefore',
	] as const)(
		'never submits again when the outcome of a submit is unknown (%s), not even in a retry',
		async (kind) => {
			await open({ runtime: SHORT_CALLS });
			env.sandbox.faults.add({ on: 'submit', kind, times: 1 });
			const { message, description, itemIndex } = failure(await env.run());
			expect(env.tries).toHaveLength(3);
			expect(env.sandbox.stats.submits).toBe(1);
			expect(message).toContain('It is not known whether RunComfy accepted this request');
			expect(message).toContain('It was not sent again');
			expect(description).toContain('Generations page');
			expect(itemIndex).toBe(0);
		},
	);

	it('does not submit an item again whose outcome is unknown, although its prompt differs in every try', async () => {
		await open({ items: items(2), runtime: SHORT_CALLS });
		env.sandbox.faults.add({ on: 'submit', kind: 'lostAfter', times: 1, promptIncludes: 'item 0' });
		await env.run({ prompt: '={{ "item " + $json.n + " " + Math.random() }}' });
		expect(env.tries).toHaveLength(3);
		expect(promptsOf().filter((prompt) => prompt.startsWith('item 0'))).toHaveLength(1);
		expect(promptsOf().filter((prompt) => prompt.startsWith('item 1')).length).toBeLessThanOrEqual(1);
	});

	it.each([
		['301', { status: 301, headers: { location: '/elsewhere' } }],
		['303', { status: 303, headers: { location: '/elsewhere' } }],
		['307', { status: 307, headers: { location: '/elsewhere' } }],
		['400 with an internal error', { status: 400, body: { error_code: 500001 } }],
		['400 without a code', { status: 400, body: 'Bad request' }],
		['409', { status: 409, body: {} }],
		['an unknown code', { status: 200, body: { error_code: 400777 } }],
	])('treats the outcome as unknown after %s, and never submits again', async (_what, answer) => {
		await open();
		env.sandbox.faults.add({ on: 'submit', kind: 'answer', answer, isDone: true });
		const { message } = failure(await env.run());
		expect(message).toContain('It is not known whether RunComfy accepted this request');
		expect(env.tries).toHaveLength(3);
		expect(env.sandbox.stats.submits).toBe(1);
	});

	it.each([
		[401, 'did not accept the API token'],
		[402, 'balance is empty'],
		[403, 'may not do this'],
		[404, 'does not know this model'],
		[413, 'too large'],
		[422, 'did not accept the values of the fields'],
	])(
		'takes HTTP %i without a code for a refusal, says what it means, and submits again in a retry',
		async (status, meaning) => {
			await open({ settings: { retryOnFail: true, maxTries: 2, waitBetweenTries: 0 } });
			env.sandbox.faults.add({ on: 'submit', kind: 'answer', answer: { status, body: '' }, times: 1 });
			const first = await env.run({ resource: 'image' });
			expect(first.status).toBe('success');
			env.sandbox.faults.add({ on: 'submit', kind: 'answer', answer: { status, body: '' } });
			expect(failure(await env.run()).message).toMatch(new RegExp(`^Nothing was submitted: .*${meaning}`));
		},
	);

	it('shows an unusable request id in the error and in the log', async () => {
		await open({ settings: {} });
		const answer = { status: 200, body: { request_id: { id: 'odd-17' } } };
		env.sandbox.faults.add({ on: 'submit', kind: 'answer', answer, isDone: true });
		const { message } = failure(await env.run());
		expect(message).toContain('odd-17');
		expect(env.log.some(({ level, message: line }) => level === 'warn' && line.includes('odd-17'))).toBe(
			true,
		);
	});
});
