"""Fine-tuning beside the viewer: a child process in a run folder of its own.

A run lives in ``PROJECT/runs/ID/`` and is spoken to by files alone, so that whoever opens the
project finds it again, and a crash of one side leaves the other::

    request.json     what was asked for; written once
    snapshot.json    what it learns from, with fingerprints; labels are copied to labels/
    state.json       how far it is, with a beat that counts up: written by the child
    control.json     what is wanted of it: run, pause, finish or discard; written by the viewer
    run.lock         held by the child as long as it lives, so that no run is started twice
    log.txt          what the child wrote to its terminal
    config.json, data.json, environment.json, events.jsonl, tensorboard/, checkpoint, model
                     as every training leaves them (:mod:`napari_sss.engine.training`)
    pictures/        image, pseudo-label and prediction of a few slices, newest last
    gate.json, gate/ the new model against the one before, and their masks

The phases::

    QUEUED --> PREPARING --> TRAINING --> JUDGING --> DONE
                   |            |            |
                   +------------+------------+--pause--> PAUSED --resume--> PREPARING
                   +------------+------------+--fault--> FAILED --resume--> PREPARING
                   +------------+------------+--kill --> DIED   --resume--> PREPARING
                   +------------+------------+--discard--> DISCARDED, and the folder goes

No child writes DIED: it is what the watcher calls an unfinished run whose lock is free. A
paused run is a process that has ended: it holds neither memory nor the GPU.
"""
