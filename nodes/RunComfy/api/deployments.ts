import { omitUndefined } from '../util/values';
import { isJsonObject, isTooDeep, type JsonObject, numberOf, parseJson, textOf, textsOf } from './json';
import { type ErrorCodes, TOKEN_ADVICE } from './problems';
import { type CancelAnswer, type PollAnswer, readCancel, readPoll, readResult } from './responses';
import type { ApiAnswer } from './transport';

/**
 * Pure readers of RunComfy's API of ComfyUI deployments (“Serverless API”). Its paths, its error codes, and the fields that
 * are read here are documented unless marked. Parts that are missing or of another shape are left out.
 */

const GATE_ADVICE =
	'Nothing was paid for. Check the deployment and your balance on RunComfy, then run again.';

/** The codes of this API. The last three refuse a request before it is accepted (documented). */
export const DEPLOYMENT_CODES: ErrorCodes = {
	meanings: {
		'401001': ['RunComfy did not accept the API token', TOKEN_ADVICE],
		'403003': [
			'this deployment or request belongs to another RunComfy account',
			'Use the credential of the account that owns the deployment.',
		],
		'404001': [
			'RunComfy has no such deployment or request, or its result has expired',
			'Check the deployment and the request ID. RunComfy deletes results after 7 days.',
		],
		'422001': [
			'RunComfy did not accept the inputs',
			'Correct the input that RunComfy names, as node ID and name, and run again. If the workflow was deployed again since, reload the inputs of this node.',
		],
		'10001': [
			'your RunComfy balance is too low for this deployment',
			'Nothing was paid for. Top up your balance on RunComfy and run the workflow again.',
		],
		'10002': ['the deployment does not accept requests', GATE_ADVICE],
		'10003': ['the deployment does not accept requests', GATE_ADVICE],
	},
	// [assumed]: which status goes with which code is not documented.
	byStatus: {
		400: '422001',
		401: '401001',
		402: '10001',
		403: '403003',
		404: '404001',
		410: '404001',
		422: '422001',
	},
};

/** A ComfyUI workflow of the user, deployed on RunComfy. */
export interface Deployment {
	deploymentId: string;
	name: string;
	workflowId?: string;
	workflowVersion?: string;
	hardware: string[];
	minInstances?: number;
	maxInstances?: number;
	queueSize?: number;
	keepWarmSeconds?: number;
	/** RunComfy's word, such as `standby`. */
	status?: string;
	isEnabled?: boolean;
	/** The workflow in ComfyUI's API format: nodes by their ID. Only where the payload was asked for. */
	graph?: JsonObject;
	/** Where the definitions of the node classes are. Nothing about it has been checked. */
	objectInfoUrl?: string;
}

const MAX_ID_LENGTH = 200;

/** True for a text that can be the ID of a deployment and part of a path. IDs are UUIDs; others are let through. */
export function isDeploymentId(text: string): boolean {
	return text.length <= MAX_ID_LENGTH && /^[a-zA-Z0-9][\w.-]*$/.test(text);
}

/** @returns undefined when the answer holds no deployment with a usable ID. */
export function readDeployment(body: unknown): Deployment | undefined {
	if (!isJsonObject(body)) return undefined;
	const deploymentId = textOf(body, 'id') ?? textOf(body, 'deployment_id');
	if (deploymentId === undefined || !isDeploymentId(deploymentId)) return undefined;
	const payload = isJsonObject(body.payload) ? body.payload : {};
	const { workflow_api_json: graph } = payload;
	return {
		deploymentId,
		name: textOf(body, 'name') ?? deploymentId,
		hardware: typeof body.hardware === 'string' ? [body.hardware] : textsOf(body.hardware),
		...omitUndefined({
			workflowId: textOf(body, 'workflow_id'),
			workflowVersion: versionOf(body.workflow_version),
			minInstances: numberOf(body, 'min_instances'),
			maxInstances: numberOf(body, 'max_instances'),
			queueSize: numberOf(body, 'queue_size'),
			keepWarmSeconds: numberOf(body, 'keep_warm_duration_in_seconds'),
			status: textOf(body, 'status'),
			isEnabled: typeof body.is_enabled === 'boolean' ? body.is_enabled : undefined,
			graph: isJsonObject(graph) ? graph : graphIn(graph),
			objectInfoUrl: textOf(payload, 'object_info_url'),
		}),
	};
}

function versionOf(version: unknown): string | undefined {
	return typeof version === 'number' ? String(version) : typeof version === 'string' ? version : undefined;
}

/** The workflow as JSON text [assumed: RunComfy may store it so]. */
function graphIn(text: unknown): JsonObject | undefined {
	const graph = typeof text === 'string' ? parseJson(text) : undefined;
	return isJsonObject(graph) && !isTooDeep(graph) ? graph : undefined;
}

/** The deployments of a list, which is a bare array, or an object that holds it. Unusable ones are left out. */
export function readDeployments(body: unknown): Deployment[] | undefined {
	const list = isJsonObject(body) ? body.deployments : body;
	return Array.isArray(list) ? list.flatMap((one: unknown) => readDeployment(one) ?? []) : undefined;
}

/** Reads the answer to a poll of `/status` or `/result`. */
export function readDeploymentPoll(answer: ApiAnswer, requestId: string, now: number): PollAnswer {
	const poll = readPoll(answer, requestId, now, DEPLOYMENT_CODES);
	if (poll.kind !== 'state' || !isJsonObject(answer.body)) return poll;
	const { body } = answer;
	const result = readResult(requestId, body, body.outputs);
	// [assumed] `completed` says only that the run has ended.
	const hasFailed = poll.phase === 'finished' && poll.error !== undefined && poll.error !== null;
	return { ...poll, result, phase: hasFailed && !holdsOutputs(body.outputs) ? 'failed' : poll.phase };
}

/** True when a node has put anything into a channel. Outputs of another shape than the documented one count, too. */
export function holdsOutputs(outputs: unknown): boolean {
	if (!isJsonObject(outputs)) return isFilled(outputs);
	return Object.values(outputs).some((node) =>
		isJsonObject(node) ? Object.values(node).some(isFilled) : isFilled(node),
	);
}

function isFilled(value: unknown): boolean {
	if (Array.isArray(value)) return value.length > 0;
	return value !== null && value !== undefined && value !== '';
}

/** Reads the answer to a cancel: an `outcome`, or the `status` “cancellation_requested” [assumed]. */
export function readDeploymentCancel(answer: ApiAnswer, requestId: string, now: number): CancelAnswer {
	const { body, status } = answer;
	const isSuccess = status >= 200 && status < 300;
	const word =
		isSuccess && isJsonObject(body) ? (textOf(body, 'outcome') ?? textOf(body, 'status')) : undefined;
	const outcome = word?.toLowerCase().replace('canceled', 'cancelled');
	const isOutcome = outcome !== undefined && OUTCOMES.has(outcome);
	return isOutcome ? { kind: 'outcome', outcome } : readCancel(answer, requestId, now, DEPLOYMENT_CODES);
}

const OUTCOMES = new Set(['cancelled', 'not_cancellable', 'cancellation_requested']);
