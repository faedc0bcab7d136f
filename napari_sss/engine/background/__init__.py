"""Work on the whole pool of a project while a person annotates: pre-labelling and ranking.

It is done by a process of its own rather than a thread: it can be given a low priority, by
which the system lets the viewer go first; its memory and the GPU's are returned when it ends;
and a fault of one leaves the other. How late a loop is that wants to run every 5 ms was
measured beside both, on two cores that other programs kept busy: at the 95th percentile 5 ms
alone, 62 ms beside the process, 71 ms beside a thread. So priority alone is not enough where
cores are scarce, and the process also stops between two slices as long as the viewer raises a
sign (somebody waits for an answer).

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
