"""What counting says of a text, without its order: logistic regression on a bag of n-grams.

A text of ids s_1 ... s_L stands between two borders, and its n-grams are the runs of 1 to n symbols in that::

    count_g     how often the text has n-gram g, of those that the training texts have
    idf_g       ln((1 + N) / (1 + N_g)) + 1        N training texts, N_g of them with g
    x           count * idf, divided by its Euclidean length

    p(y | x) = softmax(x W + b)
    loss     = -1/N sum ln p(y_i | x_i)  +  penalty/2 |W|^2

The loss is convex, so there is one minimum and no seed. Newton's method with conjugate gradients finds it: at 170,000
weights SciPy's L-BFGS was measured to spend seven times as long on itself as on the loss. Bigrams of words as in S.
Wang and C. D. Manning, "Baselines and bigrams" (2012): on short texts they matter, and such lines are hard to beat.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse, special

from lstm_lab.errors import UsageError

# From few effective parameters to hardly a penalty; a factor of about 3 apart.
PENALTIES = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6)
# The mean change of a weight at which a fit is done.
TOLERANCE = 1e-4


class Bag(NamedTuple):
    """The n-grams of the training texts, and how they are weighted.

    Attributes:
        keys: a number for each n-gram, ascending int64 [F].
        idf: float [F].
        most: symbols of the longest n-gram, n.
        symbols: ids V; what is counted has 0 to V - 1.
    """

    keys: np.ndarray
    idf: np.ndarray
    most: int
    symbols: int

    @classmethod
    def of(cls, x: np.ndarray, lengths: np.ndarray, symbols: int, most: int) -> "Bag":
        """Collect the n-grams of texts.

        Args:
            x: ids int [N,T], right-padded.
            lengths: symbols of each text, int [N].
            symbols: ids V.
            most: symbols of the longest n-gram.

        Raises:
            UsageError: there are more n-grams than 64 bits can number.
        """
        if (symbols + 2) ** most >= 2**63:
            raise UsageError(
                f"n-grams: {symbols} symbols: {most} of them at once are too many: take fewer"
            )
        rows, found = _ngrams(x, lengths, symbols, most)
        keys, column = np.unique(found, return_inverse=True)
        pairs = np.unique(np.stack([rows, column]), axis=1)
        texts = np.bincount(pairs[1], minlength=len(keys))
        return cls(keys, np.log((1 + len(x)) / (1 + texts)) + 1, most, symbols)

    def weights(self, x: np.ndarray, lengths: np.ndarray) -> sparse.csr_array:
        """Return the features of texts [N,T], float [N,F]; n-grams that training never showed are left out."""
        rows, found = _ngrams(x, lengths, self.symbols, self.most)
        column = np.minimum(np.searchsorted(self.keys, found), len(self.keys) - 1)
        known = self.keys[column] == found
        rows, column = rows[known], column[known]
        bag = sparse.coo_array(
            (self.idf[column], (rows, column)), shape=(len(x), len(self.keys))
        ).tocsr()
        norms = np.sqrt(bag.multiply(bag).sum(axis=1))
        return sparse.diags_array(1 / np.maximum(norms, 1e-12)) @ bag


class LogisticRegression(NamedTuple):
    """Weights [F,K] and biases [K] for K classes."""

    weight: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(
        cls,
        x: sparse.csr_array,
        y: np.ndarray,
        classes: int,
        penalty: float,
        start: "LogisticRegression | None" = None,
    ) -> "LogisticRegression":
        """Minimise the penalised loss.

        Args:
            x: features, float [N,F].
            y: class ids, int [N].
            classes: K.
            penalty: on half the squared weights, above 0; biases are free.
            start: where to begin, such as the minimum of a penalty nearby; zeros where None.
        """
        start = start or cls(np.zeros((x.shape[1], classes)), np.zeros(classes))
        found = optimize.minimize(
            objective,
            np.concatenate([start.weight.ravel(), start.bias]),
            args=(x, y, classes, penalty),
            jac=True,
            hessp=curvature,
            method="Newton-CG",
            options={"xtol": TOLERANCE},
        )
        return cls(*_unravel(found.x, classes))

    def log_p(self, x: sparse.csr_array) -> np.ndarray:
        """Return ln p of each class, float [N,K]."""
        return special.log_softmax(x @ self.weight + self.bias, axis=1)


def objective(
    flat: np.ndarray, x: sparse.csr_array, y: np.ndarray, classes: int, penalty: float
) -> tuple[float, np.ndarray]:
    """Return the penalised loss in nats and its gradient.

    Args:
        flat: weights of each feature in turn, and the biases last, float [F K + K].
        x: features, float [N,F].
        y: class ids, int [N].
        classes: K.
        penalty: on half the squared weights.

    Returns:
        The loss, and its gradient like `flat`.
    """
    model = LogisticRegression(*_unravel(flat, classes))
    log_p = model.log_p(x)
    rows = np.arange(len(y))
    loss = -log_p[rows, y].mean() + penalty / 2 * np.sum(model.weight**2)
    error = np.exp(log_p)
    error[rows, y] -= 1
    error /= len(y)
    gradient = x.T @ error + penalty * model.weight
    return float(loss), np.concatenate([gradient.ravel(), error.sum(axis=0)])


def curvature(
    flat: np.ndarray,
    along: np.ndarray,
    x: sparse.csr_array,
    y: np.ndarray,
    classes: int,
    penalty: float,
) -> np.ndarray:
    """Return the loss's Hessian times a direction; arguments as in `objective`, `along` like `flat`."""
    p = np.exp(LogisticRegression(*_unravel(flat, classes)).log_p(x))
    weight, bias = _unravel(along, classes)
    turn = x @ weight + bias
    turn = p * (turn - np.sum(p * turn, axis=1, keepdims=True)) / len(y)
    return np.concatenate([(x.T @ turn + penalty * weight).ravel(), turn.sum(axis=0)])


def choose(
    train: tuple[sparse.csr_array, np.ndarray],
    validation: tuple[sparse.csr_array, np.ndarray],
    classes: int,
) -> tuple[LogisticRegression, float]:
    """Fit with every penalty, and choose by validation.

    Args:
        train: features [N,F] and class ids [N].
        validation: the same of other texts.
        classes: K.

    Returns:
        The regression that is right most often on the validation texts, of equals the one with the larger
        penalty; and that penalty.
    """
    best, best_right, best_penalty = None, -1.0, 0.0
    fitted = None
    for penalty in PENALTIES:
        fitted = LogisticRegression.fit(*train, classes, penalty, fitted)
        right = float(np.mean(fitted.log_p(validation[0]).argmax(axis=1) == validation[1]))
        if right > best_right:
            best, best_right, best_penalty = fitted, right, penalty
    assert best is not None, "there are penalties"
    return best, best_penalty


def _unravel(flat: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights [F,K] and biases [K]."""
    return flat[:-classes].reshape(-1, classes), flat[-classes:]


def _ngrams(
    x: np.ndarray, lengths: np.ndarray, symbols: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and the number of every n-gram of 1 to `most` symbols, borders included, int64 [M] each."""
    base = symbols + 2
    count, steps = x.shape
    # 0 is nothing, 1 a border, and symbols follow; an n-gram is a number of n digits, none of them 0.
    digits = np.zeros((count, steps + 2), np.int64)
    digits[:, 0] = 1
    digits[:, 1:-1] = np.where(np.arange(steps) < lengths[:, None], x.astype(np.int64) + 2, 0)
    digits[np.arange(count), lengths + 1] = 1
    rows, keys = [], []
    number = np.zeros_like(digits)
    for order in range(1, most + 1):
        number = number[:, : steps + 3 - order] * base + digits[:, order - 1 :]
        whole = digits[:, order - 1 :] > (order == 1)
        row, _ = found = np.nonzero(whole)
        rows.append(row)
        keys.append(number[found])
    return np.concatenate(rows), np.concatenate(keys)
