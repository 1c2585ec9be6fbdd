"use strict";
const examples = {
  javascript: {
    "Hello": "console.log('hello from QuickJS', 6 * 7);",
    "For ever": "while (true) {}",
    "All memory": "const all = []; for (;;) all.push(new Array(100000).fill(1));",
    "Prints for ever": "for (;;) console.log('again and again');",
  },
  python: {
    "Hello": "print('hello from CPython', 6 * 7)",
    "For ever": "while True: pass",
    "Files": "import os\nprint(os.listdir('/'))\nopen('/x', 'w').write('mine')\nprint(open('/x').read())",
    "Network": "import socket\nsocket.create_connection(('example.com', 80))",
  },
  science: {
    "Plot": "import numpy as np\nimport matplotlib.pyplot as plt\n\nx = np.linspace(0, 10, 500)\n"
      + "plt.plot(x, np.sin(x) * np.exp(-x / 5))\nplt.title('a damped wave')\nplt.savefig('wave.png')",
    "Table": "import pandas as pd\n\nframe = pd.DataFrame({'shop': list('abab'), 'units': [3, 5, 4, 1]})\n"
      + "print(frame)\nframe.groupby('shop').units.sum().to_dict()",
    "For ever": "while True: pass",
    "All memory": "everything = bytes(10 ** 9)",
    "Markup": "open('x.svg', 'w').write('<svg onload=alert(1)>')\nprint('<script>alert(1)</script>')",
  },
};
const units = {seconds: "s", memory_mib: "MiB", output_kib: "KiB"};
let limits = {};
const at = id => document.getElementById(id);
function fill(select, names) {
  select.replaceChildren(...names.map(name => new Option(name)));
}
function show() {
  at("code").value = examples[at("language").value]?.[at("example").value] ?? "";
}
function shown(name) {
  at(`${name}-shown`).textContent = `${at(name).value} ${units[name]}`;
}
function slide() { // the server says how far each slider goes, and does not believe it
  const of = limits[at("language").value];
  at("limits").hidden = !of;
  for (const [name, limit] of Object.entries(of ?? {})) {
    const slider = at(name);
    [slider.min, slider.max, slider.value] = [limit.least, limit.most, limit.usual];
    slider.oninput = () => shown(name);
    shown(name);
  }
}
function wanted() {
  const names = Object.keys(limits[at("language").value] ?? {});
  return Object.fromEntries(names.map(name => [name, Number(at(name).value)]));
}
function told(found) { // all of it is text, but for pictures that the server has looked at
  at("output").textContent = found.output ?? "";
  at("value").textContent = found.value === undefined || found.value === null ? "" : `value: ${found.value}`;
  at("pictures").replaceChildren(...(found.pictures ?? []).map(({path, name}) => {
    const image = new Image();
    image.src = `pictures/${encodeURIComponent(name)}`;
    image.alt = path;
    return image;
  }));
  at("ending").textContent = [found.reason, found.exit_code, found.message, found.seconds && `${found.seconds} s`]
    .filter(part => part !== undefined && part !== null && part !== "").join(", ");
}
async function run() {
  at("run").disabled = true;
  at("ending").textContent = "runs";
  try {
    const answer = await fetch("run", {
      method: "POST",
      body: JSON.stringify({language: at("language").value, code: at("code").value, limits: wanted()}),
    });
    const text = await answer.text();
    told(answer.headers.get("content-type")?.includes("json") ? JSON.parse(text) : {message: text});
  } catch (error) {
    at("ending").textContent = String(error);
  } finally {
    at("run").disabled = false;
  }
}
at("language").onchange = () => {
  fill(at("example"), Object.keys(examples[at("language").value] ?? {}));
  show();
  slide();
};
at("example").onchange = show;
at("run").onclick = run;
(async () => {
  limits = await (await fetch("limits")).json();
  fill(at("language"), await (await fetch("languages")).json());
  const given = new URLSearchParams(location.search); // a link to a script, which runs when somebody says so
  if (given.has("language")) at("language").value = given.get("language");
  at("language").onchange();
  if (given.has("code")) at("code").value = given.get("code");
  document.body.dataset.ready = "yes";
})();
