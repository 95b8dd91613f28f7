"""Two and four processes, each with devices of its own, train as one device does."""

import numpy as np
import pytest
import trained_together
from processes import together

CODE = """
import trained_together
tell(trained_together.everything(ROWS))
"""


@pytest.mark.parametrize(
    ("processes", "devices", "rows"), [(2, 4, list(trained_together.ROWS)), (4, 2, ["adamw"])]
)
def test_processes_train_as_one_device_in_every_layout(
    processes: int, devices: int, rows: list[str]
) -> None:
    expected = {row: trained_together.alone(row) for row in rows}
    for found in together(f"ROWS = {rows}" + CODE, processes, devices):
        for row, params in expected.items():
            for layout in trained_together.LAYOUTS[row]:
                where = f"{row}: {layout}"
                for name, x in params.items():
                    np.testing.assert_allclose(found[where][name], x, rtol=2e-5, atol=2e-6, err_msg=where)
        assert found["adamw: data parallel"]["share"] == 1
        for layout in ("zero1", "zero1, scattered", "fsdp"):
            assert found[f"adamw: {layout}"]["share"] < 0.15
