import type { IBinaryKeyData, IDataObject, IExecuteFunctions } from 'n8n-workflow';

import type { RunComfyClient } from '../../api/client';
import type { FreeQuery } from '../../api/freeQuery';
import type { Deployments } from '../../deployments/deployments';
import type { Downloader } from '../../files/download';
import type { ListedPrice, PlannedRequest } from '../../jobs/budget';
import type { Run } from '../../jobs/run';
import type { Catalog } from '../../models/catalog';
import type { Access } from '../../n8n/credential';
import type { Field } from '../../n8n/identity';
import type { Random } from '../../util/time';

/** What an operation may use. */
export interface OperationTools {
	context: IExecuteFunctions;
	access: Access;
	random: Random;
	client: RunComfyClient;
	query: FreeQuery;
	catalog: Catalog;
	deployments: Deployments;
}

/** What an item's work may use during the run. */
export interface WorkTools {
	run: Run;
	downloader: Downloader;
	/** Shows a message above the node's output, once even if many items have the same. */
	hint(message: string): void;
}

/** An output item without `pairedItem`, which is added later. */
export interface OperationOutput {
	json: IDataObject;
	binary?: IBinaryKeyData;
}

/** What an item wants to submit, and where its price is read for a spending limit. */
export interface PlannedSubmit extends PlannedRequest {
	getPrice(): Promise<ListedPrice>;
}

/** The work for one item, whose fields have been read and are valid. */
export interface ItemWork {
	/** What the item submits; undefined when it submits nothing. */
	submits?: PlannedSubmit;
	/** @returns the output of the item; several items only for an operation that lists something. */
	run(tools: WorkTools): Promise<OperationOutput | OperationOutput[]>;
}

/** One operation of the node: its fields, and how it turns an input item into work. */
export interface Operation {
	/** The fields in the editor, without `displayOptions` for resource and operation, which are added later. */
	fields: Field[];
	/**
	 * Reads and checks the fields of one item. It may make free queries about its model, and submits nothing.
	 * @throws FieldError, RunComfyError.
	 */
	prepare(tools: OperationTools, itemIndex: number): Promise<ItemWork>;
	/**
	 * The work of an item that cannot submit now, but has a request. Never throws: a default stands for every field that
	 * cannot be read. Undefined for an operation that submits nothing.
	 * @param endpointId where its request was submitted.
	 * @param problem why it cannot submit. The work fails with it if the request has no result.
	 */
	resume?(tools: OperationTools, itemIndex: number, endpointId: string, problem: Error): ItemWork;
}
