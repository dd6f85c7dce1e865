//! A client that booted before it knew its function serves it as one that was started for it.

use serde_json::json;

use super::launch;
use super::run::Function;

const PYTHONS: [&str; 6] =
    ["python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"];
const NODES: [&str; 4] = ["nodejs18.x", "nodejs20.x", "nodejs22.x", "nodejs24.x"];

#[test]
fn a_python_client_becomes_its_function_and_nothing_of_the_boot_is_left() {
    let function = Function::new(&[
        (
            "app.py",
            "import os, sys, subprocess, beside, json\n\
             def h(event, context):\n\
             \x20   child = subprocess.run([sys.executable, '-S', '-c', 'import os; print(sorted(os.environ))'],\n\
             \x20       capture_output=True, text=True).stdout\n\
             \x20   print('spoken')\n\
             \x20   return dict(event=event, own=os.environ.get('OWN'), left='LEFT_OVER' in os.environ,\n\
             \x20       child_left='LEFT_OVER' in child, child_own='OWN' in child, cwd=os.getcwd() == os.path.realpath(os.environ['LAMBDA_TASK_ROOT']),\n\
             \x20       beside=beside.WORD, name=context.function_name, zone=__import__('time').tzname[0],\n\
             \x20       handover=os.environ.get('_LAMBENT_HANDOVER_FD'))\n",
        ),
        ("beside.py", "WORD = 'here'\n"),
    ]);
    for launch in PYTHONS.iter().filter_map(|id| launch(id)) {
        let env = [("OWN", "é"), ("TZ", "XYZ-3")];
        let mut run = function.on(&launch, "app.h").env(&env);
        run.parked = true;
        let outcome = run.call(&["[1]"]);
        let expected = json!({
            "event": [1], "own": "é", "left": false, "child_left": false, "child_own": true, "cwd": true,
            "beside": "here", "name": "f", "zone": "XYZ", "handover": null,
        });
        assert_eq!(outcome.posts[0].json(), expected, "{:?} {outcome:#?}", launch.argv);
        assert_eq!(outcome.output, "spoken\n");
    }
}

#[test]
fn a_node_client_becomes_its_function_and_nothing_of_the_boot_is_left() {
    let function = Function::new(&[
        (
            "app.mjs",
            "import { word } from './beside.cjs';\n\
             import { execFileSync } from 'child_process';\n\
             export const h = async (event, context) => {\n\
               const child = execFileSync(process.execPath, ['-p', 'JSON.stringify(process.env)']).toString();\n\
               process.stdout.write('spoken\\n');\n\
               return { event, own: process.env.OWN, left: 'LEFT_OVER' in process.env, word, name: context.functionName,\n\
                 childLeft: child.includes('LEFT_OVER'), childOwn: child.includes('OWN'),\n\
                 handover: process.env._LAMBENT_HANDOVER_FD ?? null };\n\
             };\n",
        ),
        ("beside.cjs", "exports.word = 'here';\n"),
    ]);
    for launch in NODES.iter().filter_map(|id| launch(id)) {
        let env = [("OWN", "é")];
        let mut run = function.on(&launch, "app.h").env(&env);
        run.parked = true;
        let outcome = run.call(&["[1]"]);
        let expected = json!({
            "event": [1], "own": "é", "left": false, "word": "here", "name": "f",
            "childLeft": false, "childOwn": true, "handover": null,
        });
        assert_eq!(outcome.posts[0].json(), expected, "{outcome:#?}");
        assert_eq!(outcome.output, "spoken\n");
    }
}

#[test]
fn a_parked_client_reports_what_it_can_not_load() {
    let function = Function::new(&[("app.py", "import nowhere\n"), ("app.js", "require('nowhere')\n")]);
    for id in PYTHONS.iter().chain(&NODES) {
        let Some(launch) = launch(id) else { continue };
        let mut run = function.on(&launch, "app.h");
        run.parked = true;
        let outcome = run.call(&["1"]);
        assert_eq!(outcome.posts[0].path, "init/error", "{id} {outcome:#?}");
        assert_eq!(outcome.posts[0].json()["errorType"], "Runtime.ImportModuleError", "{id}");
        assert!(outcome.exit_code.is_some_and(|code| code != 0));
    }
}
