"""What the fraud workflow costs as a whole: train, judge, promote, export, verify, card."""

from fixtures.core.outcomes import expect


def test_the_workflow_ends_in_its_own_model_while_it_is_timed(measure, step, unique, mlflow_client, tmp_path):
    """What a nightly pipeline takes from training to model card, everything that it logs and fetches with it.

    Remedy: run the step that the finding names by hand (docs/workflow.md) and read the server's log at that time.
    """
    experiment, done = unique("workflow"), []

    def begin():
        name = unique("fraud")
        out = tmp_path / name

        def operate():
            trained = step("train", "--model", name, "--experiment", experiment).record
            step("validate", "--model", name, "--version", 1)
            promoted = step("promote", "--model", name, "--version", 1, "--to", "champion")
            step("export", "--model", name, "--alias", "champion", "--out", out)
            step("card", "--model", name, "--alias", "champion", "--out", tmp_path / f"{name}.md")
            done.append((name, trained, promoted.passed, out))

        return operate

    def holds():
        for name, trained, passed, out in done:
            expect(f"gates of {name} before its promotion", passed, True)
            found = mlflow_client.get_model_version_by_alias(name, "champion")
            expect(f"run behind @champion of {name}", found.run_id, trained["run_id"])
            metrics = mlflow_client.get_run(trained["run_id"]).data.metrics
            expect(f"metrics of {name}", {key: metrics.get(key) for key in trained["metrics"]}, trained["metrics"])
            expect(f"model files in the export of {name}", (out / "model" / "MLmodel").is_file(), True)

    measure(begin, holds, rounds=2, warm=1, times=1)
