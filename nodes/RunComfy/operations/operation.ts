import type { IBinaryKeyData, IDataObject } from 'n8n-workflow';

import type { JobResult } from '../api/answers';
import type { FreeQuery, Http } from '../api/http';
import type { AddressRules } from '../api/urls';
import type { Problem } from '../api/problems';
import type { DownloadTarget } from '../fields/downloads';
import type { Field, Item } from '../fields/item';
import type { OPTIONS, Options } from '../fields/options';
import type { Downloader } from '../files/download';
import type { FileRules } from '../files/inputFile';
import type { Handling, JobRequest, RunEnd, SubmittedJob } from '../jobs/types';
import type { WaitTools } from '../jobs/wait';
import type { Random } from '../util/time';

/** What an operation may use. */
export interface OperationTools {
	http: Http;
	random: Random;
	query: FreeQuery;
	downloader: Downloader;
	/** The user's key for ComfyUI's own paid nodes, in the credential. */
	comfyOrgApiKey?: string | undefined;
	/** Which addresses of files are accepted: those on this machine only where the API is there, too. */
	modelFiles: AddressRules;
	deploymentFiles: AddressRules;
	/** Shows a message above the node's output, once even if many items have the same. */
	hint(message: string, type?: 'info' | 'warning'): void;
}

/** An output item without `pairedItem`, which is added later. */
export interface OperationOutput {
	json: IDataObject;
	binary?: IBinaryKeyData;
}

/** How to wait for a request, and where its files go. */
export interface RequestHandling extends Handling {
	/** Undefined when no files are downloaded. */
	download?: DownloadTarget | undefined;
}

/** What is read of every item that submits, and of Get Result. */
export interface Submission {
	options: Options;
	fileRules: FileRules;
	handling: RequestHandling;
}

interface OperationBase {
	/** The name in the list of operations. */
	name: string;
	/** The title in the list of the node's actions. */
	action: string;
	description: string;
	/** The fields in the editor, without `displayOptions` for resource and operation, which are added later. */
	fields: Field[];
}

/** An operation that submits nothing. */
export interface FreeOperation extends OperationBase {
	/**
	 * Reads the fields of one item, and does the work.
	 * @returns the output of the item; several items only for an operation that lists something.
	 * @throws FieldError, RunComfyError, RunEndedError.
	 */
	run(tools: OperationTools & WaitTools, item: Item): Promise<OperationOutput | OperationOutput[]>;
}

/** An operation that submits requests. */
export interface SubmittingOperation extends OperationBase {
	/** Those of models, or of deployments. */
	options: typeof OPTIONS;
	/**
	 * Reads and checks the fields of one item. It may make free queries about its model, and submits nothing.
	 * @param submission what all of these operations have in common, already read.
	 * @throws FieldError, RunComfyError.
	 */
	read(
		tools: OperationTools,
		item: Item,
		submission: Submission,
	): Promise<Omit<JobRequest<RequestHandling>, 'handling'>>;
	findOutputProblem(result: JobResult): Problem | undefined;
	toOutput(
		tools: OperationTools,
		job: SubmittedJob & { result: JobResult },
		handling: RequestHandling,
		run: RunEnd,
	): Promise<OperationOutput>;
	/** What the output reports of the seeds that were sent; absent to report them by their names. */
	reportSeeds?(seeds: Record<string, number>): IDataObject;
}

export type Operation = FreeOperation | SubmittingOperation;
