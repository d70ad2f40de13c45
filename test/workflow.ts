import type { IConnections, INode, INodeCredentialsDetails } from 'n8n-workflow';

export const RUNCOMFY_TYPE = 'n8n-nodes-runcomfy.runComfy';
/** The name of the RunComfy node in a test's workflow. */
export const RUNCOMFY = 'RunComfy';

/** A node as n8n stores it; its name is also its id. */
export function workflowNode(name: string, type: string, more: Partial<INode> = {}): INode {
	return { id: name, name, type, typeVersion: 1, position: [0, 0], parameters: {}, ...more };
}

export interface WorkflowParts {
	/** The nodes that make the items, from the first to the last. */
	start: INode[];
	/** Puts RunComfy into this loop: After follows its output 0, RunComfy its output 1. */
	loop?: INode;
	parameters: Record<string, unknown>;
	credential: INodeCredentialsDetails;
	/** Node settings such as retryOnFail or onError. */
	settings?: Partial<INode>;
	/** The type of the nodes After (success) and Failed (error). */
	endType: string;
}

/** Start nodes → RunComfy → (success) After, (error) Failed. */
export function buildWorkflow(parts: WorkflowParts): { nodes: INode[]; connections: IConnections } {
	const { start, loop, parameters, credential, settings, endType } = parts;
	const runComfy = workflowNode(RUNCOMFY, RUNCOMFY_TYPE, {
		parameters: parameters as INode['parameters'],
		credentials: { runComfyApi: credential },
		...settings,
	});
	const to = (name: string) => [{ node: name, type: 'main' as const, index: 0 }];
	const connections: IConnections = {};
	for (const [index, { name }] of start.entries()) {
		connections[name] = { main: [to(start[index + 1]?.name ?? loop?.name ?? RUNCOMFY)] };
	}
	if (loop === undefined) connections[RUNCOMFY] = { main: [to('After'), to('Failed')] };
	else {
		connections[loop.name] = { main: [to('After'), to(RUNCOMFY)] };
		connections[RUNCOMFY] = { main: [to(loop.name)] };
	}
	const end = [workflowNode('After', endType), workflowNode('Failed', endType)];
	return { nodes: [...start, ...(loop === undefined ? [] : [loop]), runComfy, ...end], connections };
}
