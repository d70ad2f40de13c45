import type { Clock } from '../../nodes/RunComfy/common/clock';
import { loadCompiled, loadCompiledExecution } from '../../test/engine/compiled';
import { itemsOf, prepareEngine } from '../engineTask';
import { IMAGE_URL } from '../workload';
import type { Contestant } from './contestant';

/** This node, compiled, on n8n's engine. On a faster clock it is the very same: every one of its times shrinks alike. */
export const runComfyNode: Contestant = async (task) => {
	const { RunComfy } = await loadCompiled();
	const { executeRunComfy, systemRuntime } = await loadCompiledExecution();
	const node = new RunComfy();
	if (task.timeScale !== 1) {
		const clock = faster(systemRuntime.clock, task.timeScale);
		// The wire is no faster than it is.
		const { submitMs, pollMs, cancelMs } = systemRuntime.callTimeouts;
		const callTimeouts = {
			submitMs: submitMs * task.timeScale,
			pollMs: pollMs * task.timeScale,
			cancelMs: cancelMs * task.timeScale,
		};
		node.execute = async function () {
			return await executeRunComfy(this, { ...systemRuntime, clock, callTimeouts });
		};
	}
	const run = await prepareEngine(task.baseUrl, {
		node,
		parameters: {
			imageUrl: IMAGE_URL,
			prompt: '={{ $json.prompt }}',
			options: { maxConcurrency: task.concurrency, pollInterval: task.pollSeconds },
		},
		items: itemsOf(task),
	});
	return async () => void (await run());
};

function faster(clock: Clock, times: number): Clock {
	return {
		now: () => clock.now() * times,
		timeOfDay: () => clock.timeOfDay(),
		sleep: async (ms, signal) => await clock.sleep(ms / times, signal),
	};
}
