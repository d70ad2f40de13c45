import type { IBinaryKeyData, IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { Downloader } from '../../files/download';
import type { Access } from '../../host/credential';
import type { Random } from '../../common/clock';
import type { PlannedRequest } from '../../jobs/budget';
import type { Run } from '../../jobs/run';
import type { Catalogue } from '../../models/catalogue';

/** What an operation may use. */
export interface OperationTools {
	context: IExecuteFunctions;
	access: Access;
	random: Random;
	/** Free questions about models and account. */
	catalogue: Catalogue;
}

/** What an item's work may use once the run is under way. */
export interface WorkTools {
	run: Run;
	downloader: Downloader;
	/** Says something above the node's output. */
	hint(message: string): void;
}

/** One output item, before n8n's pairing is put on it. */
export interface OperationOutput {
	json: IDataObject;
	binary?: IBinaryKeyData;
}

/** What is to be done for one item whose fields have all been read and found good. */
export interface ItemWork {
	/** What the item submits; undefined when it submits nothing. */
	submits?: PlannedRequest;
	/** @returns the item's output item; several only when that is what was asked for. */
	run(tools: WorkTools): Promise<OperationOutput | OperationOutput[]>;
}

/** One operation of the node: its fields, and how an item becomes work and the work an output item. */
export interface Operation {
	/** As n8n shows them; `displayOptions` for resource and operation are added where they are put together. */
	fields: INodeProperties[];
	/**
	 * Reads and checks the fields of one item; asks at most free questions about its model.
	 * @throws FieldError, RunComfyError.
	 */
	prepare(tools: OperationTools, itemIndex: number): Promise<ItemWork>;
}
