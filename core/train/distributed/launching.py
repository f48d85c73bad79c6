"""How the processes of a run are started on several machines: one line for each machine. Needs no torch.

accelerate launch --num_machines 2 --machine_rank 0 ... -m core rank runs/poems
"""

import shlex
from collections.abc import Iterator

from core.spec import RunSpec

ADDRESS = "10.0.0.1"  # stands for the first machine's, as the others reach it
PORT = 29500


def commands(
    spec: RunSpec, folder: str = "runs/NAME", address: str = ADDRESS, port: int = PORT
) -> Iterator[str]:
    """For each machine the line that starts its share of the processes; none where one machine has them all.

    What is shared between them (compute.strategy) and in which precision, the run knows itself: accelerate is to start
    processes and no more. It calls several of them --multi_gpu, with GPUs or without.
    """
    compute = spec.compute
    for machine in range(compute.machines if compute.machines > 1 else 0):
        yield (
            f"accelerate launch --multi_gpu --same_network --num_machines {compute.machines} "
            f"--num_processes {compute.processes} --machine_rank {machine} --main_process_ip {address} "
            f"--main_process_port {port} --mixed_precision no --dynamo_backend no -m core rank {shlex.quote(folder)}"
        )
