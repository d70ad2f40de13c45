import { Readable } from 'node:stream';

import type { RequestContext } from '../../nodes/RunComfy/files/transfer';
import { fetchJson } from '../../nodes/RunComfy/files/fetchJson';
import { VirtualClock } from './virtualClock';

const URL_OF_FILE = 'https://files.test.com/object_info.json';

interface Call {
	url: string;
	abortSignal: AbortSignal;
	disableFollowRedirect: boolean;
	headers: Record<string, string>;
}

/** Fetches with a fake of n8n's helper. */
async function fetchWith(
	respond: (call: Call) => unknown,
	more: { url?: string; isPrivate?: boolean; clock?: VirtualClock } = {},
) {
	const calls: Call[] = [];
	const { clock = new VirtualClock(), isPrivate = false } = more;
	const helpers = {
		httpRequest: async (call: Call) => {
			calls.push(call);
			return await respond(call);
		},
		getSecureEgressFilter: () => ({
			createSecureLookup: () => (_name: string, _options: object, callback: (...found: unknown[]) => void) =>
				callback(null, [{ address: isPrivate ? '2002::1' : '8.8.8.8', family: 4 }]),
		}),
	};
	const value = await clock.run(
		fetchJson(more.url ?? URL_OF_FILE, {
			context: { helpers } as unknown as RequestContext,
			clock,
			allowLoopback: false,
			maxMegabytes: 0.001,
			deadlineMs: 15_000,
		}),
	);
	return { value, calls, clock };
}

const answer = (text: string, headers = {}, statusCode = 200) => ({
	statusCode,
	headers,
	body: Readable.from([Buffer.from(text)]),
});

describe('fetchJson', () => {
	it('reads a file without redirects and without the token', async () => {
		const { value, calls } = await fetchWith(() => answer('{"a": 1}'));
		expect(value).toEqual({ a: 1 });
		expect(calls).toMatchObject([{ url: URL_OF_FILE, disableFollowRedirect: true }]);
		expect(Object.keys(calls[0]?.headers ?? {})).toEqual(['accept-encoding']);
	});

	it.each<[string, unknown]>([
		['another status', answer('{}', {}, 404)],
		['a redirect', answer('{}', { location: URL_OF_FILE }, 302)],
		['no JSON', answer('<html>')],
		['JSON that breaks off', answer('{"a"')],
		['a size that is announced', answer('{}', { 'content-length': '1001' })],
		['a size that is not', answer(JSON.stringify('x'.repeat(1_000)))],
		['no stream', { statusCode: 200, headers: {}, body: '{}' }],
		['an error', Promise.reject(new Error('ECONNRESET'))],
	])('gives nothing for %s', async (_name, respond) => {
		expect((await fetchWith(() => respond)).value).toBeUndefined();
	});

	it('does not call an address that leads to a private network', async () => {
		for (const more of [
			{ isPrivate: true },
			{ url: 'https://10.0.0.1/x' },
			{ url: 'http://files.test.com/x' },
		]) {
			expect(await fetchWith(() => answer('{}'), more)).toMatchObject({ value: undefined, calls: [] });
		}
	});

	it('gives up at the deadline, before an answer or in the middle of it', async () => {
		const hang = async ({ abortSignal }: Call) =>
			await new Promise((_resolve, reject) => {
				abortSignal.addEventListener('abort', () => reject(new Error('aborted')));
			});
		const early = await fetchWith(hang);
		expect(early.value).toBeUndefined();
		expect(early.clock.now()).toBe(15_000);
		const clock = new VirtualClock();
		async function* drip() {
			for (const part of '{"a": 1}') {
				await clock.sleep(3_000);
				yield Buffer.from(part);
			}
		}
		const late = await fetchWith(() => ({ ...answer(''), body: Readable.from(drip()) }), { clock });
		expect(late.value).toBeUndefined();
		expect(late.clock.now()).toBe(15_000);
	});
});
