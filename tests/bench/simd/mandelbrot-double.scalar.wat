(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 5120))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local f64)
    (local i32 i32)
    (local f64 f64)
    (local i32 i32 i32)
    (local f64 f64 f64 f64 f64)
    block
      local.get 0
      i32.const 1
      i32.ge_s
      br_if 0
      i32.const 0
      return
    end
    f64.const 0.0
    local.set 1
    i32.const 0
    local.set 2
    i32.const 0
    local.set 3
    loop
      local.get 1
      f64.const 0.01171875
      f64.mul
      f64.const -1.5
      f64.add
      local.set 4
      f64.const 0.0
      local.set 5
      i32.const 0
      local.set 6
      loop
        local.get 2
        i32.const 100
        i32.add
        local.set 7
        i32.const 0
        local.set 8
        local.get 4
        local.set 9
        local.get 5
        f64.const 0.01171875
        f64.mul
        f64.const -2.0
        f64.add
        local.tee 10
        local.set 11
        block
          block
            loop
              local.get 11
              local.get 11
              f64.mul
              local.tee 12
              local.get 9
              local.get 9
              f64.mul
              local.tee 13
              f64.add
              f64.const 4.0
              f64.le
              i32.eqz
              br_if 1
              block
                local.get 10
                local.get 12
                local.get 13
                f64.sub
                f64.add
                local.tee 12
                local.get 12
                f64.mul
                local.tee 13
                local.get 4
                local.get 11
                local.get 9
                f64.mul
                local.tee 9
                local.get 9
                f64.add
                f64.add
                local.tee 9
                local.get 9
                f64.mul
                local.tee 11
                f64.add
                f64.const 4.0
                f64.le
                i32.eqz
                br_if 0
                local.get 10
                local.get 13
                local.get 11
                f64.sub
                f64.add
                local.set 11
                local.get 4
                local.get 12
                local.get 9
                f64.mul
                local.tee 9
                local.get 9
                f64.add
                f64.add
                local.set 9
                local.get 8
                i32.const 2
                i32.add
                local.tee 8
                i32.const 100
                i32.ne
                br_if 1
                br 3
              end
            end
            local.get 2
            local.get 8
            i32.add
            i32.const 1
            i32.add
            local.set 7
            br 1
          end
          local.get 2
          local.get 8
          i32.add
          local.set 7
        end
        local.get 7
        i32.const 100
        i32.add
        local.set 2
        i32.const 0
        local.set 8
        local.get 4
        local.set 9
        local.get 6
        i32.const 1
        i32.or
        f64.convert_i32_s
        f64.const 0.01171875
        f64.mul
        f64.const -2.0
        f64.add
        local.tee 10
        local.set 11
        block
          block
            loop
              local.get 11
              local.get 11
              f64.mul
              local.tee 12
              local.get 9
              local.get 9
              f64.mul
              local.tee 13
              f64.add
              f64.const 4.0
              f64.le
              i32.eqz
              br_if 1
              block
                local.get 10
                local.get 12
                local.get 13
                f64.sub
                f64.add
                local.tee 12
                local.get 12
                f64.mul
                local.tee 13
                local.get 4
                local.get 11
                local.get 9
                f64.mul
                local.tee 9
                local.get 9
                f64.add
                f64.add
                local.tee 9
                local.get 9
                f64.mul
                local.tee 11
                f64.add
                f64.const 4.0
                f64.le
                i32.eqz
                br_if 0
                local.get 10
                local.get 13
                local.get 11
                f64.sub
                f64.add
                local.set 11
                local.get 4
                local.get 12
                local.get 9
                f64.mul
                local.tee 9
                local.get 9
                f64.add
                f64.add
                local.set 9
                local.get 8
                i32.const 2
                i32.add
                local.tee 8
                i32.const 100
                i32.ne
                br_if 1
                br 3
              end
            end
            local.get 7
            local.get 8
            i32.add
            i32.const 1
            i32.add
            local.set 2
            br 1
          end
          local.get 7
          local.get 8
          i32.add
          local.set 2
        end
        local.get 5
        f64.const 2.0
        f64.add
        local.set 5
        local.get 6
        i32.const 2
        i32.add
        local.tee 6
        local.get 0
        i32.lt_s
        br_if 0
      end
      local.get 1
      f64.const 1.0
      f64.add
      local.set 1
      local.get 3
      i32.const 1
      i32.add
      local.tee 3
      local.get 0
      i32.ne
      br_if 0
    end
    local.get 2))
