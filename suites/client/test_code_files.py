"""Files that a filter in front dislikes (R11): models bring their code, reports their HTML."""

import mimetypes

from fixtures.clients.rest import ARTIFACT_API
from fixtures.clients.routes import describe_answer
from fixtures.core.outcomes import Finding, Lack, OutOfScope, expect
from fixtures.core.uris import proxied_path

# Harmless, and alike to what is logged every day.
CODE_FILES = {
    "code/train.py": "import os\nimport subprocess\n\nprint(eval('1 + 1'), os.environ.get('HOME'), subprocess.PIPE)\n",
    "code/features.sql": "DROP TABLE IF EXISTS t;\nSELECT * FROM a UNION SELECT * FROM b WHERE 1=1 OR name = ''; --\n",
    "code/run.sh": "#!/bin/sh\nset -e\ncat config.ini | grep name && exec python train.py\n",
    "code/.env": "DATA_PASSWORD=none\n",
    "code/config.ini": "[train]\npath = ../../data\n",
    "code/report.html": "<!doctype html><html><body onload='x()'><script>alert('done')</script></body></html>\n",
    "code/chart.js": "document.cookie = 'x=1'; window.onload = () => fetch('/x');\n",
}


def test_files_of_code_come_back(probe, api, make_run, doors):
    """A filter (WAF) in front that refuses scripts, SQL, HTML or dotfiles stops models with code and reports.

    Remedy: exempt /api/2.0/mlflow-artifacts/ and /ajax-api/2.0/mlflow-artifacts/ from the filter in front of the
    server: what it refuses are artifacts, not requests.
    """
    run = make_run()
    uri = api.run(run)["info"].get("artifact_uri", "")
    if (root := proxied_path(uri)) is None:
        raise OutOfScope(Lack.PROXIED_ARTIFACTS, f"clients keep artifacts in {uri} themselves")
    wrong = {}
    for name, text in CODE_FILES.items():
        headers = {"Content-Type": mimetypes.guess_type(name)[0] or "application/octet-stream"}
        stored = probe.put(f"{ARTIFACT_API}/{root}/{name}", data=text.encode(), headers=headers)
        fetched = probe.get(f"{ARTIFACT_API}/{root}/{name}") if stored.status_code == 200 else stored
        if fetched.status_code != 200 or fetched.content != text.encode():
            wrong[name] = f"{fetched.request.method} {describe_answer(fetched)}"
    if wrong:
        seen = "; ".join(f"{name}: {fault}" for name, fault in wrong.items())
        raise Finding(f"{', '.join(wrong)} of run {run}", "stored and served as they are", seen)
    listed = api.probe.ask("artifacts/list", {"run_id": run, "path": "code"}).get("files", [])
    sizes = {file.get("path"): int(file.get("file_size", 0)) for file in listed}
    expect(f"files of run {run}, listed", sizes, {name: len(text) for name, text in CODE_FILES.items()})
    for name, text in CODE_FILES.items():
        doors.object_agrees(f"{name} of run {run}", uri, name, text.encode())
