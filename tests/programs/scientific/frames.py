"""Tables: groups, joins, windows, times and text."""

import io

import numpy as np
import pandas as pd

made = np.random.default_rng(11)
table = pd.DataFrame(
    {
        "key": made.choice(["red", "green", "blue", None], 400),
        "n": made.integers(-50, 50, 400),
        "x": made.standard_normal(400).round(6),
        "when": pd.date_range("2024-02-27", periods=400, freq="7h"),
    }
)
table.loc[made.integers(0, 400, 30), "x"] = np.nan
print(table.describe().to_string())
print(
    table.groupby("key", dropna=False).agg({"n": ["sum", "min", "nunique"], "x": ["mean", "std", "median"]}).to_string()
)
print(table.set_index("when").resample("2W")["x"].sum().to_string())
print(table["x"].rolling(25, min_periods=5).mean().iloc[::40].to_string(), table["n"].ewm(span=9).mean().iloc[-1])
print(table.pivot_table(index="key", columns=table["when"].dt.month, values="n", aggfunc="sum").to_string())
names = pd.DataFrame({"key": ["red", "blue", "black"], "name": ["r", "b", "k"]})
print(table.merge(names, how="outer", on="key", indicator=True)["_merge"].value_counts().to_string())
text = table.head(20).to_csv(index=False)
again = pd.read_csv(io.StringIO(text), parse_dates=["when"])
pd.testing.assert_frame_equal(again, table.head(20), check_dtype=False)
print(text, again.dtypes.astype(str).to_dict())
print(
    table["key"].str.upper().str.cat(sep="")[:60], table["n"].rank(method="dense").sum(), table.corr(numeric_only=True)
)
print(pd.cut(table["n"], 5).value_counts(sort=False).to_string(), pd.get_dummies(table["key"]).sum().to_dict())
print(table.sort_values(["key", "n"], na_position="first").iloc[::57].to_json(orient="split", date_format="iso"))
