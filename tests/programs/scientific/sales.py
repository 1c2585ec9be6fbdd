"""A shop's tables: joins, groups, pivots, text, categories, missing values, files of several kinds."""

import io
import json

import numpy as np
import pandas as pd

pd.set_option("display.width", 140, "display.max_columns", 20)
made = np.random.default_rng(8)
size = 600
orders = pd.DataFrame(
    {
        "id": np.arange(1000, 1000 + size),
        "customer": made.integers(1, 60, size),
        "product": made.choice(["tea", "coffee", "cake", "juice", "bread"], size, p=[0.3, 0.3, 0.2, 0.15, 0.05]),
        "count": made.integers(1, 9, size),
        "price": made.lognormal(1.2, 0.4, size).round(2),
        "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(made.integers(0, 366 * 24, size), unit="h"),
        "note": made.choice(["", "gift", "Late; refund", "VIP-guest", None], size),
    }
)
orders.loc[made.choice(size, 40, replace=False), "price"] = np.nan
customers = pd.DataFrame(
    {
        "customer": np.arange(1, 70),
        "name": [f"{'ABCDEFG'[n % 7]}{'aeiou'[n % 5]}{n:02d}" for n in range(69)],
        "city": pd.Categorical(made.choice(["Bonn", "Köln", "Ulm"], 69), ["Ulm", "Bonn", "Köln"], ordered=True),
    }
)
orders["price"] = orders["price"].fillna(orders.groupby("product")["price"].transform("median"))
orders["total"] = orders.eval("count * price").round(2)
joined = orders.merge(customers, on="customer", how="left", validate="many_to_one")
print(joined.dtypes.astype(str).to_dict(), joined.isna().sum().sum(), joined.memory_usage(index=False)["count"])
print(joined.groupby(["city", "product"], observed=True)["total"].agg(["sum", "mean", "count"]).unstack().round(3))
joined["quarter"] = joined["when"].dt.quarter
print(joined.pivot_table("total", "quarter", "product", aggfunc="sum", margins=True).round(2))
best = joined.groupby("name", as_index=False)["total"].sum().nlargest(5, "total")
print(best.to_string(index=False), joined["total"].quantile([0.1, 0.5, 0.99]).to_dict())
share = joined.assign(share=joined["total"] / joined.groupby("city", observed=True)["total"].transform("sum"))
print(share.groupby("city", observed=True)["share"].max().round(6).to_dict())
print(pd.crosstab(joined["city"], [joined["product"], joined["count"] > 4], normalize="index").round(4).to_string())
months = joined.set_index("when").sort_index()["total"].resample("MS").agg(["sum", "count", "max"])
print(months, months["sum"].pct_change().round(4).tolist(), months["sum"].cumsum().iloc[-1])
note = orders["note"].astype("string")
print(note.str.extract(r"(?P<kind>\w+)[;-](?P<rest>.*)").value_counts(dropna=False).to_string())
print(
    note.str.len().sum(),
    note.str.contains("late", case=False).sum(),
    note.str.split("[;-]", regex=True, expand=True).shape,
)
print(
    orders["product"].str.get_dummies().sum().to_dict(),
    orders["product"].astype("category").cat.codes.value_counts().to_dict(),
)
print(
    joined["city"].cat.codes.mean(),
    joined["city"].max(),
    joined.sort_values(["city", "total"]).groupby("city", observed=True).head(1)["id"].tolist(),
)
first = joined.sort_values("when").drop_duplicates("customer")
gaps = joined.sort_values("when").groupby("customer")["when"].diff().dropna()
print(len(first), gaps.mean(), gaps.dt.days.max(), gaps.dt.total_seconds().sum())
cohort = joined.merge(first[["customer", "when"]], on="customer", suffixes=("", "_first"))
cohort["months"] = cohort["when"].dt.to_period("M").astype("int64") - cohort["when_first"].dt.to_period("M").astype(
    "int64"
)
print(cohort.groupby("months")["customer"].nunique().to_dict())
edges = [0, 5, 15, 40, np.inf]
print(
    pd.cut(joined["total"], edges, labels=["s", "m", "l", "xl"]).value_counts().to_dict(),
    pd.qcut(joined["total"], 4).cat.categories[1],
)
long = joined.melt(["id"], ["count", "price", "total"], var_name="what").sort_values(["id", "what"])
print(
    long.head(4),
    long.pivot(index="id", columns="what", values="value").equals(
        long.pivot(index="id", columns="what", values="value")
    ),
)
print(
    pd.concat([orders.head(2), customers.head(2)], keys=["o", "c"]).index.tolist(),
    orders.set_index("id").loc[[1003, 1001], "total"].tolist(),
)
stacked = orders.head(3)[["count", "price"]].stack()
print(stacked, stacked.loc[(1, "price")], orders.corr(numeric_only=True).round(4).loc["count"].to_dict())
nullable = pd.Series([1, None, 3], dtype="Int64")
print(
    nullable.sum(),
    (nullable > 1).tolist(),
    nullable.fillna(7).diff().tolist(),
    pd.array([True, None], "boolean") | True,
)
print(orders.explode("note").shape, pd.Series([[1, 2], [], [3]]).explode().tolist(), orders.nunique().to_dict())
print(
    orders.groupby("product")
    .apply(lambda group: np.average(group["price"], weights=group["count"]), include_groups=False)
    .round(6)
    .to_dict()
)
print(
    orders.groupby("product")["total"].rank(pct=True).head(4).round(5).tolist(),
    orders.query("product == 'cake' and count > 7")["id"].head(3).tolist(),
)
for name, text in {
    "csv": orders.head(30).to_csv(index=False, sep=";", decimal=","),
    "json": orders.head(30).to_json(orient="records", date_format="iso"),
    "html": orders.head(3).to_html(index=False, border=0),
    "latex": orders.head(2).to_string(float_format="%.1f"),
    "dict": json.dumps(orders.head(30).drop(columns="when").to_dict("split"), default=str),
}.items():
    print(name, len(text), text[:90].replace("\n", "|"))
again = pd.read_csv(io.StringIO(orders.to_csv(index=False)), parse_dates=["when"], index_col="id", na_values=[""])
print(again["total"].equals(orders.set_index("id")["total"]), again["note"].isna().sum(), again["when"].dtype.kind)
orders.to_pickle("/tmp/orders.pickle")
pd.testing.assert_frame_equal(pd.read_pickle("/tmp/orders.pickle"), orders)
back = pd.read_json(io.StringIO(orders.to_json(orient="table", index=False)), orient="table")
print(
    back["total"].sum().round(2),
    [piece["total"].sum().round(2) for piece in pd.read_csv(io.StringIO(orders.to_csv()), chunksize=250)],
)
for bad in (
    lambda: orders["nothing"],
    lambda: orders.merge(customers, on="product"),
    lambda: orders.astype({"product": int}),
    lambda: orders.loc[-1],
):
    try:
        bad()
    except (KeyError, ValueError) as error:
        print(type(error).__name__, str(error)[:60])
