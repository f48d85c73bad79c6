"""python -m webui.programs        the reference of docs/programs.md"""

from webui.programs.reference import reference

if __name__ == "__main__":
    print(reference())
