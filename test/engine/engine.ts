import 'reflect-metadata';
import './n8nHome';

import { Logger } from '@n8n/backend-common';
import { Container } from '@n8n/di';
import {
	BinaryDataConfig,
	BinaryDataService,
	ExecutionLifecycleHooks,
	ExternalSecretsProxy,
	LoadOptionsContext,
	WorkflowExecute,
} from 'n8n-core';
import {
	createRunExecutionData,
	ICredentialsHelper,
	NodeHelpers,
	Workflow,
	type IConnections,
	type ICredentialDataDecryptedObject,
	type ICredentialType,
	type IDataObject,
	type ILoadOptionsFunctions,
	type IHttpRequestOptions,
	type INode,
	type INodeExecutionData,
	type INodeType,
	type INodeTypes,
	type IRun,
	type IRunExecutionData,
	type IWorkflowBase,
	type IWorkflowExecuteAdditionalData,
	type IWorkflowSettings,
} from 'n8n-workflow';

import { n8nHome } from './n8nHome';

/** n8n-core's own engine, without the rest of n8n: workflows run as they do there, with the real helpers and errors. */
export interface EngineOptions {
	/** Node classes by their full type name. */
	nodes: Record<string, INodeType>;
	credentialType: ICredentialType;
	/** The decrypted credential; read again for every request. */
	credential: ICredentialDataDecryptedObject;
	beforeDecrypt?: () => Promise<void>;
	log?: (level: string, message: string, meta: unknown) => void;
	binaryMode?: 'default' | 'filesystem';
}

export interface EngineWorkflow {
	nodes: INode[];
	connections: IConnections;
	settings?: IWorkflowSettings;
}

/** A workflow under way. */
export interface EngineExecution {
	/** Resolves with n8n's record of the execution; after `stop` it resolves when the engine lets go. */
	done: Promise<IRun>;
	/** The Stop button. */
	stop(): void;
	/** n8n's live data, which still changes after Stop until the node itself has ended. */
	data: IRunExecutionData;
}

class EngineCredentials extends ICredentialsHelper {
	constructor(private readonly options: EngineOptions) {
		super();
	}

	getParentTypes(): string[] {
		return [];
	}

	isCredentialUsableByNode(): boolean {
		return true;
	}

	async authenticate(
		credentials: ICredentialDataDecryptedObject,
		_typeName: string,
		requestOptions: IHttpRequestOptions,
	): Promise<IHttpRequestOptions> {
		const { authenticate } = this.options.credentialType;
		if (typeof authenticate !== 'function') throw new Error('The credential has no authenticate function');
		return await authenticate.call(this.options.credentialType, credentials, requestOptions);
	}

	async preAuthentication(): Promise<undefined> {
		return undefined;
	}

	async runPreAuthentication(): Promise<undefined> {
		return undefined;
	}

	async getCredentials(): Promise<never> {
		throw new Error('Not needed on the engine');
	}

	async getDecrypted(): Promise<ICredentialDataDecryptedObject> {
		await this.options.beforeDecrypt?.();
		return { ...this.options.credential };
	}

	async updateCredentials(): Promise<void> {}

	async updateCredentialsOauthTokenData(): Promise<void> {}

	getCredentialsProperties() {
		return this.options.credentialType.properties;
	}
}

/** n8n's own log, as lines. */
function captureLog(log: EngineOptions['log']): Logger {
	const at = (level: string) => (message: string, meta?: unknown) => log?.(level, message, meta);
	const logger = {
		debug: at('debug'),
		info: at('info'),
		warn: at('warn'),
		error: at('error'),
		scoped: () => logger,
	};
	return logger as unknown as Logger;
}

export class Engine {
	private executions = 0;
	/** As n8n keeps it for the workflow from one execution to the next. */
	staticData: IDataObject = {};
	/** How often an execution has written it. */
	savedStaticData = 0;

	private constructor(private readonly options: EngineOptions) {}

	static async create(options: EngineOptions): Promise<Engine> {
		Container.set(Logger, captureLog(options.log));
		Container.get(BinaryDataConfig).mode = options.binaryMode ?? 'filesystem';
		await Container.get(BinaryDataService).init();
		return new Engine(options);
	}

	/** Where n8n keeps binary data in filesystem mode. */
	get storagePath(): string {
		return Container.get(BinaryDataConfig).localStoragePath;
	}

	get home(): string {
		return n8nHome;
	}

	/** Runs a workflow from its first node. */
	start(
		definition: EngineWorkflow,
		mode: 'manual' | 'trigger' = 'trigger',
		earlier?: IRunExecutionData,
	): EngineExecution {
		const executionId = String(++this.executions);
		const workflow = new Workflow({
			id: 'engine-test',
			name: 'Engine test',
			active: false,
			nodes: definition.nodes,
			connections: definition.connections,
			settings: { executionOrder: 'v1', ...definition.settings },
			nodeTypes: this.nodeTypes(),
			staticData: structuredClone(this.staticData),
		});
		const data = earlier ?? this.startingData(workflow);
		const additionalData = this.additionalData(executionId, definition);
		const execution = new WorkflowExecute(additionalData, mode, data);
		const running = execution.processRunExecutionData(workflow);
		const done = Promise.resolve(running).then((run) => {
			if (mode !== 'manual') this.saveStaticData(workflow, run);
			return run;
		});
		return { done, stop: () => running.cancel(), data };
	}

	async run(definition: EngineWorkflow): Promise<IRun> {
		return await this.start(definition).done;
	}

	/** As n8n does: at the end, when it was changed; not after Stop. */
	private saveStaticData({ staticData }: Workflow, { status }: IRun): void {
		if (status === 'canceled' || staticData.__dataChanged !== true) return;
		this.savedStaticData++;
		this.staticData = JSON.parse(JSON.stringify(staticData)) as IDataObject;
	}

	/** The context that n8n gives to a list of the editor, for a node with these parameters. */
	editorContext(definition: EngineWorkflow, node: INode): ILoadOptionsFunctions {
		const workflow = new Workflow({ ...definition, active: false, nodeTypes: this.nodeTypes() });
		const additionalData = this.additionalData('editor', definition);
		additionalData.currentNodeParameters = node.parameters;
		return new LoadOptionsContext(workflow, node, additionalData, '');
	}

	/** The stored bytes of a file. */
	async readBinary(item: INodeExecutionData, field: string): Promise<Buffer> {
		const binary = item.binary?.[field];
		if (binary === undefined) throw new Error(`The item has no file “${field}”`);
		return await Container.get(BinaryDataService).getAsBuffer(binary);
	}

	private startingData(workflow: Workflow): IRunExecutionData {
		// The first node that nothing leads to; sticky notes lead nowhere and have no connections at all.
		const start = Object.values(workflow.nodes).find(
			({ name }) => workflow.getParentNodes(name).length === 0 && workflow.getChildNodes(name).length > 0,
		);
		if (start === undefined) throw new Error('The workflow has no node to start with');
		return createRunExecutionData({
			executionData: {
				nodeExecutionStack: [{ node: start, data: { main: [[{ json: {} }]] }, source: null }],
			},
		});
	}

	private nodeTypes(): INodeTypes {
		const { nodes } = this.options;
		const find = (name: string): INodeType => {
			const type = nodes[name];
			if (type === undefined) throw new Error(`No node type ${name} on this engine`);
			return type;
		};
		return {
			getByName: find,
			getByNameAndVersion: (name, version) => NodeHelpers.getVersionedNodeType(find(name), version),
			getKnownTypes: () => ({}),
		};
	}

	private additionalData(executionId: string, definition: EngineWorkflow): IWorkflowExecuteAdditionalData {
		const base = 'http://127.0.0.1:5678';
		const workflowData: IWorkflowBase = {
			id: 'engine-test',
			name: 'Engine test',
			active: false,
			isArchived: false,
			activeVersionId: null,
			createdAt: new Date(),
			updatedAt: new Date(),
			...definition,
		};
		const unused = async () => {
			throw new Error('Not needed on the engine');
		};
		return {
			credentialsHelper: new EngineCredentials(this.options),
			externalSecretsProxy: Container.get(ExternalSecretsProxy),
			executeWorkflow: unused,
			getRunExecutionData: async () => undefined,
			getRuntimeCredential: async () => undefined,
			executionId,
			currentNodeExecutionIndex: 0,
			hooks: new ExecutionLifecycleHooks('trigger', executionId, workflowData),
			restApiUrl: `${base}/rest`,
			instanceBaseUrl: base,
			formBaseUrl: `${base}/form`,
			formWaitingBaseUrl: `${base}/form-waiting`,
			formTestBaseUrl: `${base}/form-test`,
			webhookBaseUrl: `${base}/webhook`,
			webhookWaitingBaseUrl: `${base}/webhook-waiting`,
			webhookTestBaseUrl: `${base}/webhook-test`,
			mcpBaseUrl: `${base}/mcp`,
			mcpTestBaseUrl: `${base}/mcp-test`,
			variables: {},
			logAiEvent: () => {},
			startRunnerTask: unused,
		};
	}
}
