"""Work on the whole pool of a project while a person annotates: pre-labelling and ranking.

It is done by a process of its own rather than a thread, because a thread that runs a network
holds the interpreter for tens of milliseconds at a time, which a window shows; because a
process can be given a low priority, by which the system itself lets the viewer go first; and
because its memory is returned when it ends. Beyond that it stops between two slices as long
as the viewer raises a sign (somebody waits for an answer).

The process writes nothing into the project's database, which has one writer: what it finds
lies in files of its own (:mod:`~napari_sss.engine.background.results`), and whoever has the
project open enters it (:mod:`~napari_sss.engine.background.entering`). Each file is written
as a whole or not at all, so either side may be killed at any moment, and what is done is
never done again.

::

    PROJECT/background/job.json       what is to be done
    PROJECT/background/state.json     how far it is (engine/runs/state.py)
    PROJECT/background/failures.json  cases that could not be read, and why
    PROJECT/background/results/KEY/   one file for each case
    PROJECT/background/entered.json   what was entered into the project

    IDLE --start--> RUNNING --pause--> PAUSED --start--> RUNNING --> DONE
                    RUNNING --kill -9, fault--> stopped; start goes on where it was
"""
