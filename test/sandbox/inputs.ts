import { request } from 'undici';

/** As RunComfy recommends for inputs. */
const MAX_INPUT_BYTES = 50_000_000;
const INPUT_FETCH_MS = 20_000;

/** Fetches an input as RunComfy's servers do: without login, with limits on time and size; a data URI is unpacked. */
export async function fetchInput(image: string): Promise<Buffer> {
	const dataUri = /^data:image\/[a-z]+;base64,(.+)$/s.exec(image);
	if (dataUri) return Buffer.from(dataUri[1] ?? '', 'base64');
	const { statusCode, body } = await request(image, {
		headersTimeout: INPUT_FETCH_MS,
		bodyTimeout: INPUT_FETCH_MS,
		signal: AbortSignal.timeout(INPUT_FETCH_MS),
	});
	if (statusCode !== 200) {
		await body.dump();
		throw new Error(`The input image could not be fetched (HTTP ${statusCode}).`);
	}
	const chunks: Buffer[] = [];
	let total = 0;
	for await (const chunk of body) {
		total += (chunk as Buffer).length;
		if (total > MAX_INPUT_BYTES) throw new Error('The input image is larger than 50 MB.');
		chunks.push(chunk as Buffer);
	}
	return Buffer.concat(chunks);
}
