import { readFileSync } from 'node:fs';
import path from 'node:path';

/** A ComfyUI workflow that is deployed on RunComfy. Names, ids and hardware are for tests only. */
export interface SandboxDeployment {
	id: string;
	name: string;
	workflow_id: string;
	workflow_version: string;
	hardware: string[];
	min_instances: number;
	max_instances: number;
	queue_size: number;
	keep_warm_duration_in_seconds: number;
	/** `standby` is the only word that is known. */
	status: string;
	is_enabled: boolean;
	created_at: string;
	updated_at: string;
	/** ComfyUI's API format as JSON text, because its integers may exceed what a JavaScript number holds. A LoRA has none. */
	workflow?: string;
	/** The deployment's own overrides of it. */
	overrides?: Record<string, { inputs: Record<string, unknown> }>;
	/** Its node definitions as JSON text; without it, those of `workflows/objectInfo.json`. */
	objectInfo?: string;
}

export const DEPLOYMENT_ID = {
	/** ComfyUI's default workflow, with a preview beside the image that is saved. */
	textToImage: '3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b01',
	/** Takes a photo. */
	imageToImage: '3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b02',
	/** A video of Video Helper Suite, a sound, a 3D model and a text. */
	everyKindOfFile: '3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b03',
	/** Ids of a subgraph, choices of the new form, and integers beyond 2^53. */
	largeIntegers: '3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b04',
	disabled: '3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b05',
	/** Somebody else's, and one that was deleted: in no list. */
	foreign: '3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b06',
	deleted: '3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b07',
	/** Has no graph, and takes a prompt. */
	lora: '3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b08',
} as const;

function deployment(
	id: string,
	name: string,
	workflowFile: string | undefined,
	more: Partial<SandboxDeployment> = {},
): SandboxDeployment {
	return {
		id,
		name,
		workflow_id: id.replace(/^3f1c6a52/, '00000000'),
		workflow_version: 'v1',
		hardware: ['AMPERE_48'],
		min_instances: 0,
		max_instances: 4,
		queue_size: 1,
		keep_warm_duration_in_seconds: 60,
		status: 'running',
		is_enabled: true,
		created_at: '2026-01-02T03:04:05.678901+00:00',
		updated_at: '2026-02-03T04:05:06.789012+00:00',
		...(workflowFile === undefined
			? {}
			: { workflow: readFileSync(path.join(__dirname, 'workflows', `${workflowFile}.json`), 'utf8') }),
		...more,
	};
}

export const DEPLOYMENTS: SandboxDeployment[] = [
	deployment(DEPLOYMENT_ID.textToImage, 'Text to image', 'text-to-image'),
	deployment(DEPLOYMENT_ID.imageToImage, 'Product photo', 'image-to-image', { workflow_version: 'v3' }),
	deployment(DEPLOYMENT_ID.everyKindOfFile, 'Video, sound, 3D model and text', 'every-kind-of-file', {
		hardware: ['HOPPER_141'],
		status: 'standby',
	}),
	deployment(DEPLOYMENT_ID.largeIntegers, 'Wan 2.2 text to video', 'large-integers', {
		workflow_version: 'v12',
		hardware: ['ADA_48_PLUS'],
	}),
	deployment(DEPLOYMENT_ID.disabled, 'Text to image, old', 'text-to-image', {
		status: 'disabled',
		is_enabled: false,
	}),
	deployment(DEPLOYMENT_ID.lora, 'Watercolor LoRA', undefined),
];
