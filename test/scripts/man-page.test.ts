import t from "tap";
import { runCommand } from "../../lib/process.ts";
import { manPages } from "../../scripts/docs/man-page.ts";
import { definition, paragraphs, roffText } from "../../scripts/docs/roff.ts";
import { COMMANDS } from "../../stage0/cli/command-table.ts";
import { GLOBAL_OPTIONS } from "../../stage0/cli/globals.ts";
import { isVisible } from "../../stage0/cli/option.ts";

const groff = runCommand("sh", ["-c", "command -v groff"]).status === 0;
const needsGroff = groff ? {} : { skip: "groff is not installed" };

/** A page as a terminal shows it, without bold and with every warning as an error. */
function render(page: string): string {
	const result = runCommand("groff", ["-man", "-Tascii", "-P-cbou", "-ww", "-rLL=200n"], { input: page });
	if (result.stderr !== "") throw new Error(`groff warns: ${result.stderr}`);
	return result.stdout;
}

t.test("every visible command has a page that shows its flags", needsGroff, (t) => {
	const pages = manPages();
	const commands = COMMANDS.filter((command) => !command.hidden);
	t.equal(pages.size, commands.length + 1);
	for (const command of commands) {
		const text = render(pages.get(`rkt-${command.name.replaceAll(" ", "-")}.1`) ?? "");
		const options = [...command.options, ...command.appOptions, ...GLOBAL_OPTIONS];
		const missing = options.filter((spec) => isVisible(spec) && !text.includes(`--${spec.name}`));
		t.same(missing, [], command.name);
		const unwanted = options.filter(
			(spec) => !isVisible(spec) && new RegExp(`--${spec.name}\\b(?!-)`).test(text),
		);
		t.same(unwanted, [], `${command.name} hides what is deprecated`);
		t.match(text, command.summary);
	}
	t.end();
});

t.test("rkt(1) leads to the others", needsGroff, (t) => {
	const text = render(manPages().get("rkt.1") ?? "");
	for (const name of ["rkt-run", "rkt-image-gc", "rkt-trust"]) t.match(text, `${name}(1)`);
	t.match(text, /EXIT STATUS\n.*0 +Success/);
	t.end();
});

t.test("text stays text", needsGroff, (t) => {
	const hostile = '.so /etc/passwd\n\'br\n\\fBbold\\n(x "quoted" --flag=\\*';
	const head = '.TH X 1 "" ""\n.nh\n.nf\n';
	t.match(render(`${head}${roffText(hostile)}\n`), hostile.split("\n")[0]);
	const shown = render(`${head}.SH X\n${roffText(hostile)}\n`);
	for (const line of hostile.split("\n")) t.ok(shown.includes(line), line);
	t.match(render(`${head}.SH X\n${definition(".x", "\\y")}\n`), /\.x +\\y/);
	t.match(
		render(`${head}.SH X\n${paragraphs("one\n\n    $ two\n    .three")}\n`),
		/one\n\n +\$ two\n +\.three/,
	);
	t.end();
});
