import { fileTypeOf, isInputType, looksLikeText } from '../../nodes/RunComfy/files/fileTypes';
import { JobTimes } from '../../nodes/RunComfy/jobs/jobTimes';
import { backoffMs, ERROR_BACKOFF, RATE_LIMIT_BACKOFF } from '../../nodes/RunComfy/common/retry';
import { nextPauseMs } from '../../nodes/RunComfy/jobs/schedule';

describe('nextPauseMs', () => {
	it.each([
		[1, 1_000, 1_000],
		[14_000, 1_000, 1_000],
		[20_000, 1_000, 1_400],
		[60_000, 1_000, 4_200],
		[600_000, 1_000, 5_000],
		[5_000, 200, 350],
		[3_600_000, 30_000, 30_000],
	])('after %i ms with an interval of %i ms: %i ms', (waited, interval, pause) => {
		for (const random of [0, 0.999]) {
			expect(nextPauseMs(waited, interval, () => random)).toBeCloseTo(pause);
		}
	});

	it.each([
		[1_000, 0, 1_000],
		[1_000, 0.5, 1_500],
		[200, 0.5, 300],
		[30_000, 0.5, 30_500],
	])('spreads the first polls with an interval of %i ms (random %d): %i ms', (interval, random, pause) =>
		expect(nextPauseMs(0, interval, () => random)).toBe(pause),
	);

	it.each([
		['waits for the quiet time to be over', 0, 1_000, 4_000, 4_000],
		['never longer than the longest pause', 0, 1_000, 60_000, 5_000],
		['but as long as the user wants', 0, 30_000, 60_000, 30_000],
		['with what is left of it', 5_000, 1_000, 8_500, 3_500],
		['never shorter than the interval', 5_000, 1_000, 5_200, 1_000],
		['and no more when it is over', 12_000, 1_000, 8_000, 1_000],
	])('%s', (_, waited, interval, quietUntil, pause) =>
		expect(nextPauseMs(waited, interval, () => 0, quietUntil)).toBe(pause),
	);
});

describe('JobTimes', () => {
	const times = (...jobs: Array<[number, number]>) => {
		const known = new JobTimes();
		for (const job of jobs) known.add(...job);
		return known.quietUntilMs;
	};
	it.each<[string, Array<[number, number]>, number]>([
		[
			'nothing from too few',
			[
				[9, 11],
				[9, 11],
			],
			0,
		],
		[
			'the middle between two polls, when all took the same',
			[
				[9, 11],
				[9, 11],
				[9, 11],
			],
			10,
		],
		[
			'less than the shortest, by the spread over the number',
			[
				[9, 11],
				[12, 14],
				[15, 17],
			],
			8,
		],
		[
			'less margin the more it has seen',
			[
				[9, 11],
				[9, 11],
				[9, 11],
				[9, 11],
				[9, 11],
				[15, 17],
			],
			9,
		],
	])('makes %s', (_, jobs, quietUntil) => expect(times(...jobs)).toBe(quietUntil));

	it('forgets what was long ago', () => {
		const slow = Array.from({ length: 20 }, (): [number, number] => [60, 60]);
		const fast = Array.from({ length: 20 }, (): [number, number] => [4, 4]);
		expect(times(...fast, ...slow)).toBe(60);
		expect(times(...slow, ...fast)).toBe(4);
	});
});

describe('backoffMs', () => {
	it.each([
		[1, 500],
		[2, 1_000],
		[5, 8_000],
		[6, 8_000],
		[99, 8_000],
	])('after %i faults: up to %i ms, and at least half of it', (failures, full) => {
		expect(backoffMs(failures, ERROR_BACKOFF, () => 0)).toBe(full / 2);
		expect(backoffMs(failures, ERROR_BACKOFF, () => 1)).toBe(full);
	});

	it('stays within a minute for the whole run', () =>
		expect(backoffMs(50, RATE_LIMIT_BACKOFF, () => 1)).toBe(60_000));
});

describe('fileTypeOf', () => {
	const bytes = (text: string) => Buffer.from(text, 'latin1');
	it.each([
		['\x89PNG\r\n\x1a\nrest', 'image/png', 'png', true],
		['\xff\xd8\xff\xe0rest', 'image/jpeg', 'jpg', true],
		['RIFF\x10\x00\x00\x00WEBPVP8 ', 'image/webp', 'webp', true],
		['GIF89a......', 'image/gif', 'gif', false],
		['\x00\x00\x00\x20ftypavif', 'image/avif', 'avif', false],
		['\x00\x00\x00\x20ftypisom', 'video/mp4', 'mp4', true],
		['\x00\x00\x00\x20ftypmp42', 'video/mp4', 'mp4', true],
		['\x00\x00\x00\x20ftypqt  ', 'video/quicktime', 'mov', true],
		['\x1a\x45\xdf\xa3....', 'video/webm', 'webm', true],
		['RIFF\x10\x00\x00\x00AVI LIST', 'video/x-msvideo', 'avi', true],
		['RIFF\x10\x00\x00\x00WAVEfmt ', 'audio/wav', 'wav', true],
		['ID3\x04\x00', 'audio/mpeg', 'mp3', true],
		['\xff\xfb\x90\x64', 'audio/mpeg', 'mp3', true],
		['\xff\xf1\x50\x80', 'audio/aac', 'aac', true],
		['OggS\x00\x02', 'audio/ogg', 'ogg', true],
		['fLaC\x00', 'audio/flac', 'flac', true],
		['\x00\x00\x00\x20ftypM4A ', 'audio/mp4', 'm4a', true],
	])('%j is %s', (text, mimeType, extension, asInput) => {
		const type = fileTypeOf(bytes(text));
		expect(type).toMatchObject({ mimeType, extension });
		expect(type && isInputType(type, type.kind)).toBe(asInput);
	});

	it.each(['RIFF\x10\x00\x00\x00ACON', '%PDF-1.7', '\x7fELF\x02', '\x00\x00\x00\x20ftypheic', ''])(
		'does not recognize %j',
		(text) => expect(fileTypeOf(bytes(text))).toBeUndefined(),
	);

	it('does not accept a video as an image', () => {
		const video = fileTypeOf(bytes('\x00\x00\x00\x20ftypisom'));
		expect(video && isInputType(video, 'image')).toBe(false);
	});

	it('distinguishes a web page or other text from binary data', () => {
		expect(looksLikeText(bytes('\n <!doctype html>'))).toBe(true);
		expect(looksLikeText(bytes('{"error":1}'))).toBe(true);
		expect(looksLikeText(bytes('\x7fELF\x02'))).toBe(false);
	});
});
