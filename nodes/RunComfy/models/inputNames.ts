import type { FileKind } from '../files/fileTypes';

/** What the name of an input says: how it is shown, and what the input is for. Pure. */

/** Words that are written in another way than with a capital first letter. */
const SPELLINGS = new Map(
	'AI API BPM CFG CLIP CPU CRF FPS GIF GPU HD HDR ID IDs IP JPEG JSON LLM LoRA LoRAs LUT MP3 MP4 NSFW PNG RGB SDXL SRT SVG TTS UI UNet URI URIs URL URLs VAE WebP XML'
		.split(' ')
		.map((word) => [word.toLowerCase(), word]),
);

/** `Image Urls` → `Image URLs`. */
export function spell(text: string): string {
	return text.replace(/[\p{L}\d]+/gu, (word) => SPELLINGS.get(word.toLowerCase()) ?? word);
}

/** `guidance_scale` → `Guidance Scale`, `image_urls` → `Image URLs`. */
export function labelOf(name: string): string {
	const words = name
		.replace(/([\p{Ll}\d])(\p{Lu}\p{Ll})/gu, '$1 $2')
		.replace(/[_.\s]+/g, ' ')
		.trim();
	return words === '' ? name : spell(words).replace(/(^|\s)\p{Ll}/gu, (first) => first.toUpperCase());
}

/** `landscape_4_3` → `Landscape 4:3`, `auto` → `Auto`; what is no plain word is shown as it is. */
export function choiceLabel(choice: string | number | boolean): string {
	const text = String(choice);
	const isPlain = /^[a-z]{3,}(_[a-z]{2,})*(_\d{1,2}_\d{1,2})?$/.test(text);
	return isPlain ? labelOf(text.replace(/_(\d+)_(\d+)$/, ' $1:$2')) : text;
}

/** The editor shows little more. */
const MAX_LABEL = 40;

/** A text on one line, cut to the length of a label. */
function shorten(text: string, length = MAX_LABEL): string {
	const line = text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
	if (line.length <= length) return line;
	let kept = line.slice(0, length - 1);
	// Not half of a character that takes two units.
	if (/[\ud800-\udbff]$/.test(kept)) kept = kept.slice(0, -1);
	return `${kept.trimEnd()}…`;
}

/**
 * A different label for each field.
 * @param candidates of each field, the best one first; of fields with the same label, all take their next one.
 */
export function distinctLabels(candidates: string[][]): string[] {
	const rest = candidates.map((texts) => texts.map((text) => shorten(text)));
	const labels = rest.map((texts) => texts.shift() ?? '');
	for (let isChanged = true; isChanged;) {
		const counts = new Map<string, number>();
		for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
		isChanged = false;
		for (const [index, label] of labels.entries()) {
			const next = counts.get(label) === 1 ? undefined : rest[index]?.shift();
			if (next === undefined) continue;
			labels[index] = next;
			isChanged = true;
		}
	}
	const used = new Set<string>();
	const counts = new Map<string, number>();
	return labels.map((label) => {
		let distinct = label;
		while (used.has(distinct)) {
			const count = (counts.get(label) ?? 1) + 1;
			counts.set(label, count);
			const suffix = ` (${count})`;
			distinct = `${shorten(label, MAX_LABEL - suffix.length)}${suffix}`;
		}
		used.add(distinct);
		return distinct;
	});
}

/** What an input is for, in the order in which the editor shows the inputs. */
export const PURPOSES = ['file', 'positive', 'text', 'negative', 'size', 'seed', 'setting', 'rest'] as const;
export type Purpose = (typeof PURPOSES)[number];

/** `imageURL 2` → `image_url_2`. */
function snakeCase(name: string): string {
	return name
		.replace(/([\p{Ll}\d])(\p{Lu})/gu, '$1_$2')
		.replace(/[^\p{L}\d]+/gu, '_')
		.replace(/_$/, '')
		.toLowerCase();
}

/** The first that fits. A name is compared in lower case, its words joined by `_`. */
const PURPOSE_BY_NAME: ReadonlyArray<readonly [RegExp, Purpose]> = [
	[/^(?!last_)(.*_)?seed$/, 'seed'],
	[
		/^(width|height|length|empty_latent_(width|height)|megapixels|scale_by|aspect_ratio|((num|video)_)?frames|frame_(count|rate)|frames_number|fps|duration|seconds|batch_size|resolution|(image_|video_)?size|num_(images|outputs)|number_of_images)$/,
		'size',
	],
	[
		/^(steps|num_inference_steps|cfg|cfg_scale|guidance|guidance_scale|denoise|sampler_name|scheduler|strength|strength_(model|clip)|shift)$/,
		'setting',
	],
	[/(^|_)neg(ative)?(_|$)/, 'negative'],
	[/(^|_)positive(_|$)/, 'positive'],
];

/** Words for a file at the end of a name, before what says how it is given. */
const FILE_NAMES: ReadonlyArray<readonly [RegExp, FileKind | 'file']> = (
	[
		['image|img|photo|picture|mask|(first|last|start|end|tail)_frame', 'image'],
		['video', 'video'],
		['audio|(music|song|speech|voice|sound)(?=_ur[il])', 'audio'],
		['file', 'file'],
	] as const
).map(([words, kind]) => [
	new RegExp(`(^|_)(${words})s?(_\\d+)?(_(file|data|path))?(_ur[il]s?)?(_\\d+)?$`),
	kind,
]);

/** The kind of file that an input takes by its name: `mask`, `first_frame_url`, `33_video`; none for `image_size`. */
export function fileKindOfName(name: string): FileKind | 'file' | undefined {
	const words = snakeCase(name);
	return FILE_NAMES.find(([pattern]) => pattern.test(words))?.[1];
}

/** `rest` for a name that says nothing. The last part decides: `sampling_mode.seed` is a seed. */
export function purposeOfName(name: string): Purpose {
	const words = snakeCase(name.slice(name.lastIndexOf('.') + 1));
	return PURPOSE_BY_NAME.find(([pattern]) => pattern.test(words))?.[1] ?? 'rest';
}
