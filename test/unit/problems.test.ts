import * as fc from 'fast-check';

import { DEPLOYMENT_CODES } from '../../nodes/RunComfy/api/deploymentApi';
import { MODEL_CODES, modelRequests } from '../../nodes/RunComfy/api/modelApi';
import {
	aboutRequest,
	cleanReason,
	describeComfyError,
	reasonOf,
	refusedProblem,
	wasNotAccepted,
} from '../../nodes/RunComfy/api/problems';
import { createRedact, redactJson } from '../../nodes/RunComfy/util/redact';
import { answer, httpOf } from './fakeApi';
import { VirtualClock } from './virtualClock';
import { cpuMs } from './cpuMs';

const TOKEN = 'rc_"token\\/0123456789';
const HTML = '<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>';

describe('What an error means', () => {
	it.each([
		[
			answer(400, { error_code: 400002, error_message: 'no funds' }),
			'your RunComfy balance is empty: “no funds”',
		],
		[answer(402, {}), 'your RunComfy balance is empty'],
		[answer(401, HTML), 'RunComfy did not accept the API token'],
		[answer(403, ''), 'your RunComfy account may not do this'],
		[answer(404, ''), 'RunComfy does not know this model'],
		[answer(407, ''), 'the proxy of n8n asks for a login'],
		[answer(413, ''), 'what was sent is too large'],
		[answer(415, ''), 'RunComfy did not accept the values'],
		[answer(422, { detail: [{ loc: ['body', 'seed'], msg: 'too big' }] }), 'the fields: “seed: too big”'],
		[answer(418, { message: 'teapot' }), 'RunComfy answered with an error (HTTP 418): “teapot”'],
		[answer(500, { error_code: 999999, error: { message: 'odd' } }), '“odd” (code 999999)'],
	])('%j', (given, words) => expect(refusedProblem(given, MODEL_CODES).message).toContain(words));

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

	it('cleans a reason of tokens, files, pages, line breaks, and length', () => {
		expect(cleanReason('Authorization: Bearer abc.def failed')).toBe('Authorization: [token] failed');
		expect(cleanReason(`bad ${'k'.repeat(64)} key`)).toBe('bad […] key');
		expect(cleanReason('image data:image/png;base64,AAAA is bad')).toBe('image [file] is bad');
		expect(cleanReason('two\n lines')).toBe('two lines');
		expect(cleanReason('x '.repeat(400))?.length).toBeLessThanOrEqual(301);
		expect(cleanReason(HTML)).toBeUndefined();
		expect(cleanReason('  ')).toBeUndefined();
	});

	it('tells an unknown request of a deployment', () =>
		expect(refusedProblem(answer(404, { error_code: 404001 }), DEPLOYMENT_CODES).message).toContain(
			'no such deployment or request',
		));

	it('speaks of inputs only where inputs were sent', () => {
		const invalid = answer(422, { error_code: 422001, error_message: 'Invalid.' });
		expect(refusedProblem(invalid, DEPLOYMENT_CODES)).toMatchObject({
			message: 'Nothing was submitted: RunComfy did not accept the inputs: “Invalid.”',
			mayBeInput: true,
		});
		const ofRequest = refusedProblem(invalid, DEPLOYMENT_CODES, aboutRequest('r1'));
		expect(ofRequest.message).toBe('RunComfy request r1: RunComfy did not accept the request: “Invalid.”');
		expect(ofRequest.mayBeInput).toBe(false);
	});

	it('shows the detail of a validation error beside its sentence', () => {
		const detail = [{ loc: ['body', 'overrides', '3', 'inputs', 'steps'], msg: 'is too large' }];
		const body = { error_code: 422001, error_message: 'Invalid.', detail };
		expect(refusedProblem(answer(422, body), DEPLOYMENT_CODES).message).toBe(
			'Nothing was submitted: RunComfy did not accept the inputs: “Invalid. overrides.3.inputs.steps: is too large”',
		);
	});

	it.each<[number, object, boolean]>([
		[400, {}, false],
		[400, { error_code: 400001 }, true],
		[400, { error_code: 'constructor' }, false],
		[503, { error_code: 400002 }, true],
		[503, {}, false],
		[409, {}, false],
	])('HTTP %i with %j: a submit was certainly not accepted: %j', (status, body, isCertain) =>
		expect(wasNotAccepted(answer(status, body), MODEL_CODES)).toBe(isCertain),
	);
});

describe('What an error means, whatever RunComfy responds', () => {
	const redact = createRedact(TOKEN);
	const { endedProblem } = modelRequests(httpOf(async () => answer(500, ''), new VirtualClock()));
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
				const refused = refusedProblem(answer(status, read), MODEL_CODES);
				const failed = endedProblem('job', { status: 'failed', phase: 'failed', error: read });
				for (const one of [refused.message, refused.advice, failed.message, reasonOf(read) ?? '']) {
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
		const from = cpuMs();
		expect((reasonOf({ error: given }) ?? '').length).toBeLessThan(400);
		expect(cpuMs() - from).toBeLessThan(500);
	});

	it('property: cleanReason throws for no text', () =>
		fc.assert(
			fc.property(fc.string({ unit: 'binary' }), (given) => (cleanReason(given) ?? '').length <= 301),
		));
});

describe("ComfyUI's errors", () => {
	it.each<[string, unknown, { reason?: string; node?: string }]>([
		['an object', { type: 'execution_error', message: 'Out of memory' }, { reason: 'Out of memory' }],
		[
			'a list',
			[{ errorCode: 'E1', error: 'Out of memory', debugInfo: 'KSampler (3)' }],
			{ reason: 'Out of memory – KSampler (3)' },
		],
		[
			'a traceback',
			[{ error: 'Out of memory', debugInfo: `Traceback ${'x '.repeat(200)}` }],
			{ reason: 'Out of memory' },
		],
		['a text', 'Out of memory', { reason: 'Out of memory' }],
		['JSON in a text', '{"message": "Out of memory"}', { reason: 'Out of memory' }],
		['broken JSON', '{"message"', { reason: '{"message"' }],
		[
			'an execution error',
			{
				node_id: '3',
				node_type: 'KSampler',
				exception_message: 'Out of memory',
				exception_type: 'X',
				traceback: ['…'],
			},
			{ reason: 'Out of memory', node: 'node 3 (KSampler)' },
		],
		[
			'a validation error',
			{
				error: { type: 'prompt_outputs_failed_validation', message: 'Prompt outputs failed validation' },
				node_errors: {
					10: {
						class_type: 'LoadImage',
						errors: [{ type: 'x', message: 'Invalid image file', details: 'image - a.png' }],
					},
				},
			},
			{ reason: 'Invalid image file – image - a.png', node: 'node 10 (LoadImage)' },
		],
		['only a type', { type: 'timeout' }, { reason: 'timeout' }],
		['a page', '<html><body>502</body></html>', {}],
		['nothing', undefined, {}],
		['odd things', [null, 7, []], {}],
	])('%s', (_name, error, expected) => expect(describeComfyError(error)).toEqual(expected));
});
