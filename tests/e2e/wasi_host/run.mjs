// Runs a component that exports wasi:cli/run under jco on Node.js: a WASI 0.2 host that has nothing to do with Synod's.
//
//   node run.mjs COMPONENT.wasm                       only makes JavaScript of it, in COMPONENT.wasm.jco/, unless that is done
//   node run.mjs COMPONENT.wasm FOLDER ARGUMENTS...   runs it; FOLDER is all that it sees of the file system
//
// With SYNC_NO_FOLDERS in the environment it is a host that refuses to sync folders, as some do.
//
// The packages are those of package-lock.json, installed by scripts/setup.sh into build/tools/wasi-host, or in $WASI_HOST.
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const packages = process.env.WASI_HOST ?? path.resolve(import.meta.dirname, '../../../build/tools/wasi-host');
const { resolve } = createRequire(path.join(packages, 'package.json'));
const load = (name) => import(pathToFileURL(resolve(name)));

const [component, folder, ...given] = process.argv.slice(2);
const made = `${component}.jco`;
const bytes = await readFile(component);
const digest = createHash('sha256').update(bytes).update(await readFile(path.join(packages, 'package-lock.json'))).digest('hex');

if ((await readFile(path.join(made, 'digest'), 'utf8').catch(() => '')) !== digest) {
  const { transpile } = await load('@bytecodealliance/jco-transpile');
  const { files } = await transpile(component, { name: 'node' });
  const temporary = await mkdtemp(`${made}-`);
  for (const [name, content] of Object.entries({ ...files, digest, 'package.json': '{"type":"module"}' })) {
    await mkdir(path.dirname(path.join(temporary, name)), { recursive: true });
    await writeFile(path.join(temporary, name), content);
  }
  await symlink(path.join(packages, 'node_modules'), path.join(temporary, 'node_modules'));
  await rm(made, { recursive: true, force: true });
  await rename(temporary, made);
}

if (folder !== undefined) {
  const { _setPreopens, types } = await load('@bytecodealliance/preview2-shim/filesystem');
  const { _setArgs } = await load('@bytecodealliance/preview2-shim/cli');
  _setPreopens({ '/': folder });
  _setArgs([component, ...given]);
  if (process.env.SYNC_NO_FOLDERS) {
    const { sync } = types.Descriptor.prototype;
    types.Descriptor.prototype.sync = function () {
      if (this.getType() === 'directory') throw 'unsupported';
      return sync.call(this);
    };
  }
  const { run } = await import(pathToFileURL(path.join(made, 'node.js')));
  try {
    run.run();
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
  process.exit(0);
}
