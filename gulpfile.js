const { dest, parallel, src } = require('gulp');

/** Whatever n8n loads beside the compiled node, byte for byte: gulp 5 would re-encode images without `encoding: false`. */
const raw = { encoding: false };

function icons() {
	return src('icons/*.svg', raw).pipe(dest('dist/icons'));
}

/** The codex: categories, aliases and links by which the editor finds and explains the node. */
function codex() {
	return src('nodes/**/*.node.json', raw).pipe(dest('dist/nodes'));
}

exports['build:assets'] = parallel(icons, codex);
