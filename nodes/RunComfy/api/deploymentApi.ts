import { isEmpty } from '../util/values';
import type { ApiReader, EndedState, Endpoint, PollAnswer, Query, RequestApi } from './answers';
import type { Http } from './http';
import { isJsonObject, isTooDeep, type JsonObject, numberAt, parseJson, textAt, textsIn } from './json';
import { MODEL_CODES, modelRequests } from './modelApi';
import {
	COMMON_STATUSES,
	describeComfyError,
	type ErrorCodes,
	nameRequest,
	OR_PROXY,
	type Problem,
	TOKEN_REFUSED,
} from './problems';

/**
 * RunComfy's API of ComfyUI deployments (“Serverless API”), and the balance of the account, which is on the same host. The
 * paths, the error codes, and the fields that are read here are documented unless marked. Parts that are missing or of
 * another shape are left out.
 */

/** The codes of this API. The last three refuse a request before it is accepted (documented). */
export const DEPLOYMENT_CODES: ErrorCodes = {
	meanings: {
		'401001': TOKEN_REFUSED,
		'403003': [
			'this deployment or request belongs to another RunComfy account',
			`Use the credential of the account that owns the deployment. ${OR_PROXY}`,
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
			'your RunComfy funds are used up, and the deployment was disabled',
			'Nothing was paid for. Top up your balance on RunComfy, enable the deployment on its page, and run again.',
		],
		'10002': [
			'the deployment is disabled',
			'Nothing was paid for. Enable it on its page on RunComfy, and run again.',
		],
		'10003': ['the deployment was deleted', 'Nothing was paid for. Choose another deployment.'],
	},
	byStatus: { ...COMMON_STATUSES, 401: '401001', 402: '10001', 403: '403003' },
};

const OUTCOMES = new Set(['cancelled', 'canceled', 'not_cancellable', 'cancellation_requested']);

export const DEPLOYMENT_READER: ApiReader = {
	codes: DEPLOYMENT_CODES,
	// Under `outputs` (documented), or where that holds nothing under `output` [assumed].
	outputOf: ({ outputs, output }) => (holdsOutputs(outputs) ? outputs : (output ?? outputs)),
	// An `outcome`, or the `status` “cancellation_requested” [assumed].
	outcomeOf: (body) => {
		const status = textAt(body, 'status')?.toLowerCase();
		const outcome = textAt(body, 'outcome') ?? (OUTCOMES.has(status ?? '') ? status : undefined);
		return outcome?.replace(/^canceled$/i, 'cancelled');
	},
	// [assumed] `completed` says only that the run has ended.
	hasFailed: ({ phase, error, result }) =>
		phase === 'finished' && error !== undefined && error !== null && !holdsOutputs(result.output),
};

/**
 * True when a node has put anything into a channel. Outputs of another shape than the documented one count, too.
 * @param levels of objects to look into: those of the nodes, and their channels.
 */
export function holdsOutputs(value: unknown, levels = 2): boolean {
	if (isJsonObject(value) && levels > 0)
		return Object.values(value).some((part) => holdsOutputs(part, levels - 1));
	return Array.isArray(value) ? value.length > 0 : !isEmpty(value);
}

/** No model has a colon in its ID. */
const PREFIX = 'deployment:';

/** The deployment of an endpoint; undefined when it is another kind of endpoint. */
export function deploymentIdOf(endpointId: string): string | undefined {
	return endpointId.startsWith(PREFIX) ? endpointId.slice(PREFIX.length) : undefined;
}

/** The requests of an endpoint, by the ID that the ledger keeps. */
export function requestApisOf(http: Http): (endpointId: string) => RequestApi {
	return (endpointId) => {
		const deploymentId = deploymentIdOf(endpointId);
		return deploymentId === undefined ? modelRequests(http) : deploymentRequests(http, deploymentId);
	};
}

function deploymentUrl({ addresses }: Http, deploymentId: string): string {
	return `${addresses.platformBaseUrl}/prod/v2/deployments/${encodeURIComponent(deploymentId)}`;
}

/** The requests of one deployment. */
export function deploymentRequests(http: Http, deploymentId: string): RequestApi {
	const calls = http.requests(deploymentUrl(http, deploymentId), DEPLOYMENT_READER);
	return {
		...calls,
		// Documented in two places; a third one says “queued”. Where RunComfy refuses it, nothing is lost.
		cancelsRunning: true,
		requestsPage: 'the requests of this deployment on RunComfy',
		async getResult(requestId, options) {
			const result = await calls.getResult(requestId, { ...options, includeCost: false });
			if (!needsStatus(result)) return result;
			const state = await calls.getStatus(requestId, options);
			// That the request cannot be found is believed only once the status has been read.
			if (state.kind === 'transient') return state;
			// That it has ended is of no use without its result.
			return state.kind === 'ok' && state.value.phase !== 'finished' ? state : result;
		},
		endedProblem: endedRunProblem,
		describeProgress: ({ phase, queuePosition }) => {
			if (phase !== 'queued') return phase;
			const position = queuePosition === undefined ? '' : `, position ${queuePosition}`;
			return `${phase}${position}; the deployment may have to start first, which takes 3 to 5 minutes`;
		},
	};
}

/** `/result` gives the state of a request that is not finished (documented). Where it does not, `/status` is asked. */
function needsStatus(answer: PollAnswer): boolean {
	if (answer.kind === 'transient') return answer.hasNoState === true;
	if (answer.kind === 'ok') return answer.value.phase === 'unknown';
	const { httpStatus, isNotFound } = answer.problem;
	return isNotFound === true || httpStatus === 400 || httpStatus === 409;
}

/**
 * One deployment, where requests are submitted. The body of a submit is `overrides` by node ID (documented).
 * @param webhookUrl that RunComfy calls when a request ends (documented).
 */
export function deploymentEndpoint(http: Http, deploymentId: string, webhookUrl?: string): Endpoint {
	const query = webhookUrl === undefined ? '' : `?webhook=${encodeURIComponent(webhookUrl)}`;
	const url = `${deploymentUrl(http, deploymentId)}/inference${query}`;
	return {
		...deploymentRequests(http, deploymentId),
		id: `${PREFIX}${deploymentId}`,
		submit: async (body, options) => await http.submit(url, body, DEPLOYMENT_READER, options),
	};
}

/** Describes a request that failed or was cancelled. */
function endedRunProblem(requestId: string, { phase, error }: EndedState): Problem {
	if (phase === 'cancelled') {
		return {
			message: `${nameRequest(requestId)} was cancelled`,
			advice: 'Run the item again to submit it again. GPU time that it had used is billed.',
			requestId,
		};
	}
	const { reason, node } = describeComfyError(error);
	const where = node === undefined ? '' : ` in ${node}`;
	const why = reason === undefined ? '' : `: “${reason}”`;
	return {
		message: `${nameRequest(requestId)} failed${where}${why}`,
		advice:
			'Check the inputs of the node that ComfyUI names, then run the item again: it will be submitted again. GPU time is billed for failed requests, too.',
		requestId,
	};
}

/** A ComfyUI workflow of the user, deployed on RunComfy. */
export type Deployment = NonNullable<ReturnType<typeof readDeployment>>;

const WITH_GRAPH = '?includes=payload';

/** Asks for one deployment with its workflow, and where the definitions of its nodes are. */
export function queryDeployment(http: Http, deploymentId: string): Query<Deployment> {
	return {
		url: `${deploymentUrl(http, deploymentId)}${WITH_GRAPH}`,
		what: `The deployment “${deploymentId}” could not be read`,
		codes: DEPLOYMENT_CODES,
		read: readDeployment,
		unknown: {
			message: `RunComfy has no deployment “${deploymentId}”`,
			advice: 'Choose the deployment from the list, or copy its ID from its page on RunComfy.',
		},
	};
}

/**
 * Asks for all deployments of the account: RunComfy documents no pages.
 * @param withGraphs whether each comes with its workflow, which makes the answer much larger.
 */
export function queryDeployments({ addresses }: Http, withGraphs: boolean): Query<Deployment[]> {
	return {
		url: `${addresses.platformBaseUrl}/prod/v2/deployments${withGraphs ? WITH_GRAPH : ''}`,
		what: 'The list of deployments could not be read',
		codes: DEPLOYMENT_CODES,
		read: readDeployments,
	};
}

const MAX_ID_LENGTH = 200;

/** True for a text that can be the ID of a deployment and part of a path. IDs are UUIDs; others are let through. */
export function isDeploymentId(text: string): boolean {
	return text.length <= MAX_ID_LENGTH && /^[a-zA-Z0-9][\w.-]*$/.test(text);
}

/** @returns undefined when the answer holds no deployment with a usable ID. */
export function readDeployment(body: unknown) {
	if (!isJsonObject(body)) return undefined;
	const deploymentId = textAt(body, 'id') ?? textAt(body, 'deployment_id');
	if (deploymentId === undefined || !isDeploymentId(deploymentId)) return undefined;
	const { hardware, workflow_version: version, is_enabled: isEnabled } = body;
	const payload = isJsonObject(body.payload) ? body.payload : {};
	return {
		deploymentId,
		name: textAt(body, 'name') ?? deploymentId,
		workflowId: textAt(body, 'workflow_id'),
		workflowVersion: typeof version === 'number' || typeof version === 'string' ? String(version) : undefined,
		hardware: typeof hardware === 'string' ? [hardware] : textsIn(hardware),
		minInstances: numberAt(body, 'min_instances'),
		maxInstances: numberAt(body, 'max_instances'),
		queueSize: numberAt(body, 'queue_size'),
		keepWarmSeconds: numberAt(body, 'keep_warm_duration_in_seconds'),
		/** RunComfy's word, such as `standby`. */
		status: textAt(body, 'status'),
		isEnabled: typeof isEnabled === 'boolean' ? isEnabled : undefined,
		/** In ComfyUI's API format: nodes by their ID. Only where the payload was asked for. */
		graph: withDefaults(readWorkflow(payload.workflow_api_json), payload.overrides),
		/** Where the definitions of the node classes are. Nothing about it has been checked. */
		objectInfoUrl: textAt(payload, 'object_info_url'),
	};
}

/** The workflow, as an object or as JSON text [assumed: RunComfy may store it so]. */
function readWorkflow(value: unknown): JsonObject | undefined {
	if (isJsonObject(value)) return value;
	const graph = typeof value === 'string' ? parseJson(value) : undefined;
	return isJsonObject(graph) && !isTooDeep(graph) ? graph : undefined;
}

/** The workflow with the deployment's own overrides, which apply where nothing is sent [assumed]. */
function withDefaults(graph: JsonObject | undefined, overrides: unknown): JsonObject | undefined {
	if (graph === undefined || !isJsonObject(overrides)) return graph;
	const nodes = Object.entries(graph).map(([nodeId, node]) => {
		const override = Object.hasOwn(overrides, nodeId) ? overrides[nodeId] : undefined;
		const [own, more] = [node, override].map((one) => (isJsonObject(one) ? one.inputs : undefined));
		if (!isJsonObject(node) || !isJsonObject(own) || !isJsonObject(more)) return [nodeId, node];
		return [nodeId, { ...node, inputs: { ...own, ...more } }];
	});
	return Object.fromEntries(nodes) as JsonObject;
}

/** The deployments of a list, which is a bare array, or an object that holds it. Unusable ones are left out. */
export function readDeployments(body: unknown): Deployment[] | undefined {
	const list = isJsonObject(body) ? body.deployments : body;
	return Array.isArray(list) ? list.flatMap((one: unknown) => readDeployment(one) ?? []) : undefined;
}

/** Asks for what is left of the account's balance, which is known only from RunComfy's own clients [assumed]. */
export function queryBalance({ addresses }: Http): Query<{ balance: number; currency: string }> {
	return {
		url: `${addresses.platformBaseUrl}/prod/v2/balance`,
		what: 'The balance could not be read',
		codes: MODEL_CODES,
		read: readBalance,
	};
}

/** @returns undefined when the answer holds no balance. */
export function readBalance(body: unknown) {
	if (!isJsonObject(body)) return undefined;
	const balance = numberAt(body, 'balance_usd');
	return balance === undefined ? undefined : { balance, currency: textAt(body, 'currency') ?? 'USD' };
}
