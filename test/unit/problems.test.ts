import * as fc from 'fast-check';

import { DEPLOYMENT_CODES } from '../../nodes/RunComfy/api/deployments';
import {
	cleanReason,
	explainAnswer,
	reasonOf,
	refusedProblem,
	wasNotAccepted,
} from '../../nodes/RunComfy/api/problems';
import type { ApiAnswer } from '../../nodes/RunComfy/api/transport';
import { endedProblem } from '../../nodes/RunComfy/models/endpoint';
import { createRedact, redactJson } from '../../nodes/RunComfy/util/redact';

const TOKEN = 'rc_"token\\/0123456789';
const HTML = '<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>';
const answer = (status: number, body: unknown): ApiAnswer => ({ status, body, headers: {} });

describe('What an error means', () => {
	it.each([
		[
			answer(400, { error_code: 400002, error_message: 'no funds' }),
			'your RunComfy balance is empty: “no funds”',
		],
		[answer(402, {}), 'your RunComfy balance is empty'],
		[answer(401, HTML), 'RunComfy did not accept the API token'],
		[answer(422, { detail: [{ loc: ['body', 'seed'], msg: 'too big' }] }), 'the fields: “seed: too big”'],
		[answer(418, { message: 'teapot' }), 'RunComfy answered with an error (HTTP 418): “teapot”'],
		[answer(500, { error_code: 999999, error: { message: 'odd' } }), '“odd” (code 999999)'],
	])('%j', (given, words) => expect(explainAnswer(given).what).toContain(words));

	it.each([
		[{ error: 'plain' }, 'plain'],
		[{ error: { code: 'E_X', message: 'in an object' } }, 'in an object'],
		[{ detail: 'a detail' }, 'a detail'],
		[{ error: { error: { message: 'deep' } } }, 'deep'],
		['a text', 'a text'],
		[HTML, undefined],
		[{}, undefined],
		[null, undefined],
	])('finds the reason in %j', (body, reason) => expect(reasonOf(body)).toBe(reason));

	it('cleans a reason of tokens, files, pages, line breaks, length and Node error codes', () => {
		expect(cleanReason('Authorization: Bearer abc.def failed')).toBe('Authorization: [token] failed');
		expect(cleanReason(`bad ${'k'.repeat(64)} key`)).toBe('bad […] key');
		expect(cleanReason('image data:image/png;base64,AAAA is bad')).toBe('image [file] is bad');
		expect(cleanReason('connect ECONNREFUSED 1.2.3.4')).toBe('connect a network error 1.2.3.4');
		expect(cleanReason('ResourceNotFound')).toBe('ResourceNotFound');
		expect(cleanReason('two\n lines')).toBe('two lines');
		expect(cleanReason('x '.repeat(400))?.length).toBeLessThanOrEqual(301);
		expect(cleanReason(HTML)).toBeUndefined();
		expect(cleanReason('  ')).toBeUndefined();
	});

	it('speaks of inputs only where inputs were sent', () => {
		const invalid = answer(422, { error_code: 422001, error_message: 'Invalid.' });
		expect(refusedProblem(invalid, undefined, DEPLOYMENT_CODES)).toMatchObject({
			message: 'Nothing was submitted: RunComfy did not accept the inputs: “Invalid.”',
			mayBeInput: true,
		});
		const ofRequest = refusedProblem(invalid, 'r1', DEPLOYMENT_CODES);
		expect(ofRequest.message).toBe('RunComfy request r1: RunComfy did not accept the request: “Invalid.”');
		expect(ofRequest.mayBeInput).toBeUndefined();
	});

	it('recognizes when a submit was certainly not accepted', () => {
		expect(wasNotAccepted(answer(400, {}))).toBe(false);
		expect(wasNotAccepted(answer(400, { error_code: 400001 }))).toBe(true);
		expect(wasNotAccepted(answer(400, { error_code: 'constructor' }))).toBe(false);
		expect(wasNotAccepted(answer(503, { error_code: 400002 }))).toBe(true);
		expect(wasNotAccepted(answer(503, {}))).toBe(false);
		expect(wasNotAccepted(answer(409, {}))).toBe(false);
	});
});

describe('What an error means, whatever RunComfy responds', () => {
	const redact = createRedact(TOKEN);
	const text = fc.oneof(
		fc.string(),
		fc.constantFrom(TOKEN, JSON.stringify(TOKEN), encodeURIComponent(TOKEN), `Bearer ${TOKEN}`, '<html>'),
	);
	const body = fc.letrec<{ body: unknown }>((tie) => ({
		body: fc.oneof(
			{ maxDepth: 5, depthSize: 'small' },
			text,
			fc.jsonValue(),
			fc.array(tie('body'), { maxLength: 3 }),
			fc.record(
				{
					error_code: fc.oneof(fc.nat(), text),
					error_message: tie('body'),
					detail: tie('body'),
					error: tie('body'),
					msg: text,
					loc: fc.array(fc.oneof(text, fc.nat(), fc.constant({ toString: 1 }))),
				},
				{ requiredKeys: [] },
			),
		),
	})).body;

	it('property: an error has a short sentence without the token', () =>
		fc.assert(
			fc.property(body, fc.integer({ min: 100, max: 599 }), (given, status) => {
				const read = redactJson(given, redact);
				const { what, advice } = explainAnswer({ status, headers: {}, body: read });
				const { message } = endedProblem('job', { status: 'failed', phase: 'failed', error: read });
				for (const one of [what, advice, message, reasonOf(read) ?? '']) {
					expect(redact(one)).toBe(one);
					expect(one.length).toBeLessThan(800);
				}
			}),
			{ numRuns: 1_000 },
		));

	it.each<[string, unknown]>([
		['half a data URI, over and over', 'data:a/'.repeat(300_000)],
		['“bearer”, over and over', 'bearer '.repeat(300_000)],
		['white space', ' \n'.repeat(1_000_000)],
		['a long list', Array.from({ length: 200_000 }, () => ({ msg: 'x'.repeat(50) }))],
		['a deep one', JSON.parse(`${'[{"error":'.repeat(2_000)}"x"${'}]'.repeat(2_000)}`)],
	])('is fast on %s', (_, given) => {
		const from = performance.now();
		expect((reasonOf({ error: given }) ?? '').length).toBeLessThan(400);
		expect(performance.now() - from).toBeLessThan(500);
	});

	it('property: cleanReason throws for no text', () =>
		fc.assert(
			fc.property(fc.string({ unit: 'binary' }), (given) => (cleanReason(given) ?? '').length <= 301),
		));
});
