# Everything happens in .venv; results go to out/.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: demo cohort-demo train-demo test coverage lint bench icon pictures architecture documents tour validate clean

demo: .venv/slicer.done
	$(BIN)/unsupervised-registration demo --output out/demo

cohort-demo: .venv/test.done
	rm -rf out/cohort
	PYTHONPATH=Testing $(BIN)/python Testing/cohort_demo.py out/cohort

train-demo: .venv/test.done
	PATH="$(CURDIR)/$(BIN):$$PATH" bash training/runs/demo.sh

test: .venv/test.done lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

coverage: .venv/test.done
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --cov

lint: .venv/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

pictures: demo tour
	$(BIN)/python Testing/make_pictures.py

architecture: .venv/test.done
	$(BIN)/python Testing/draw_architecture.py

documents: architecture
	$(BIN)/python Testing/list_rules.py

tour: .venv/test.done
	$(BIN)/python Testing/tour.py

validate: .venv/slicer.done
	$(BIN)/unsupervised-registration validate

icon: .venv/test.done
	QT_QPA_PLATFORM=offscreen $(BIN)/python -c "from PySide6 import QtGui as G, QtSvg as S; a=G.QGuiApplication([]); i=G.QImage(128,128,G.QImage.Format.Format_ARGB32); i.fill(0); p=G.QPainter(i); S.QSvgRenderer('Resources/UnsupervisedRegistration.svg').render(p); p.end(); [i.save(d+'/UnsupervisedRegistration.png') or exit(1) for d in ('Resources','UnsupervisedRegistration/Resources/Icons')]"

clean:
	rm -rf .venv out

.venv/slicer.done: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) '.[slicer]'
	touch $@

.venv/test.done: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) '.[test]'
	touch $@ .venv/slicer.done

bench: .venv/bench.done
	$(BIN)/python -m training bench --output out/bench --document Resources/Documentation

.venv/bench.done: .venv/test.done
	$(INSTALL) '.[bench]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps fireants==1.5.0 # It pins an old SimpleITK.
	touch $@
